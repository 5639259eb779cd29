//! An embedded S3 bucket store on local files.
