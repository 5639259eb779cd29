"""A real Ceph with its RADOS Gateway: one monitor, one manager, one OSD in memory, all on loopback.

Debian: apt-get install --no-install-recommends ceph-mon ceph-osd ceph-mgr radosgw ceph-common
"""

import os
import shutil
import subprocess
import uuid

from harness import Process, Server, clean_env, free_port, http, wait_for

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph-mgr", "radosgw", "ceph", "radosgw-admin", "monmaptool")
ENV = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}


def missing():
    """The programs of Ceph that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name, path=ENV["PATH"])]


class Ceph(Server):
    """Started in order, stopped in the other; no authentication inside, because it is one machine's."""

    def __init__(self, directory):
        super().__init__(directory)
        self.parts = []

    def start(self):
        fsid, osd = uuid.uuid4(), uuid.uuid4()
        monitor = f"[v2:127.0.0.1:{free_port()},v1:127.0.0.1:{free_port()}]"
        here = self.directory
        for name in ("mon", "mgr", "osd", "rgw", "run"):
            (here / name).mkdir()
        self.conf = here / "ceph.conf"
        self.conf.write_text(f"""
[global]
fsid = {fsid}
mon_host = {monitor}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
osd_objectstore = memstore
memstore_device_bytes = 1073741824
mon_data = {here}/mon
mgr_data = {here}/mgr
osd_data = {here}/osd
rgw_data = {here}/rgw
run_dir = {here}/run
admin_socket = {here}/run/$name.asok
log_file = {here}/$name.log
mon_cluster_log_file = {here}/cluster.log
mon_data_avail_crit = 1
mon_data_avail_warn = 2
crash_dir = {here}/run
ms_bind_ipv6 = false
ms_mon_client_mode = crc
mgr_initial_modules =
""")
        self.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", monitor, here / "monmap")
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", here / "monmap")
        self.daemon("ceph-mon", "-i", "a")
        wait_for("the monitor", lambda: self.run("ceph", "--connect-timeout", "5", "-s"), timeout=120, pause=0.5)
        self.daemon("ceph-mgr", "-i", "x")
        self.run("ceph", "osd", "new", osd)
        self.run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd)
        self.daemon("ceph-osd", "-i", "0")
        wait_for("the OSD", lambda: "1 up" in self.run("ceph", "osd", "stat"), timeout=120, pause=0.5)
        self.daemon("radosgw", "-n", "client.rgw", "--rgw-frontends", f"beast endpoint=127.0.0.1:{self.port}")
        wait_for("radosgw", lambda: http(self.url)[0] == 200, timeout=240, pause=0.5)
        return self

    def run(self, program, *words):
        config = [] if program == "monmaptool" else ["-c", self.conf]
        command = [str(word) for word in (program, *config, *words)]
        run = subprocess.run(command, env=clean_env(**ENV), capture_output=True, text=True, timeout=180)
        assert run.returncode == 0, f"{' '.join(command)}: {run.stderr}{run.stdout}"
        return run.stdout

    def daemon(self, program, *words):
        log = self.directory / f"{program}.out"
        self.parts.append(Process([program, "-f", "-c", self.conf, *words], log, env=clean_env(**ENV)))

    def stop(self):
        for part in reversed(self.parts):
            part.stop(timeout=20)
