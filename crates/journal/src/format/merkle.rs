//! The tree head over leaf hashes (RFC 6962 §2.1; leaves are already hashed).

use super::crypt::{HASH, finish};
use aws_lc_rs::digest;

/// The Merkle tree hash of `leaves`, in order.
pub(crate) fn tree_head(leaves: impl Iterator<Item = [u8; HASH]>) -> [u8; HASH] {
    // Perfect subtrees left of the next leaf, the largest first: (leaves, head).
    let mut peaks: Vec<(u64, [u8; HASH])> = Vec::new();
    for leaf in leaves {
        let mut right = (1, leaf);
        while let Some(&(size, left)) = peaks.last() {
            if size != right.0 {
                break;
            }
            peaks.pop();
            right = (size * 2, node(&left, &right.1));
        }
        peaks.push(right);
    }
    let mut heads = peaks.into_iter().rev().map(|(_, head)| head);
    let Some(last) = heads.next() else { return finish(digest::Context::new(&digest::SHA256)) };
    heads.fold(last, |right, left| node(&left, &right))
}

/// The link from one sealed file to the next of its stream.
pub(crate) fn link(previous: &[u8; HASH], head: &[u8; HASH], range: (u64, u64)) -> [u8; HASH] {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&[2]);
    hash.update(previous);
    hash.update(head);
    hash.update(&range.0.to_le_bytes());
    hash.update(&range.1.to_le_bytes());
    finish(hash)
}

fn node(left: &[u8; HASH], right: &[u8; HASH]) -> [u8; HASH] {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&[1]);
    hash.update(left);
    hash.update(right);
    finish(hash)
}

#[cfg(test)]
mod tests {
    use super::{finish, tree_head};
    use aws_lc_rs::digest;

    fn leaf(input: &str) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&[0]);
        hash.update(&hex::decode(input).unwrap());
        finish(hash)
    }

    /// Inputs and heads of the Certificate Transparency reference tests
    /// (`MerkleTreeTest`), which follow RFC 6962 §2.1.
    #[test]
    fn the_heads_of_the_reference_tests() {
        let inputs = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let heads = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        for (count, want) in heads.iter().enumerate() {
            let leaves = inputs[..=count].iter().map(|input| leaf(input));
            assert_eq!(hex::encode(tree_head(leaves)), *want, "{} leaves", count + 1);
        }
    }

    #[test]
    fn the_empty_tree_is_the_hash_of_nothing() {
        let want = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex::encode(tree_head(std::iter::empty())), want);
    }
}
