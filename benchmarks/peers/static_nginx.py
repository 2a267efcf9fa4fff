"""The bound of client and kernel: nginx answers the bytes of a right answer without looking at the request."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks.peers import options

CONFIG = """
daemon off;
master_process off;
worker_processes 1;
pid {scratch}/nginx.pid;
error_log {scratch}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  default_type application/json;
  keepalive_requests 1000000000;
  client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  server {{
    listen {address}:{port};
    location / {{ return 200 '{answer}'; }}
  }}
}}
"""

if __name__ == "__main__":
    given = options.read("answer")
    answer = Path(given.answer).read_text()
    text = CONFIG.format(scratch=given.scratch, address=options.ADDRESS, port=given.port, answer=answer)
    config = given.scratch / "nginx.conf"
    config.write_text(text)
    # Debian keeps it outside an ordinary user's PATH.
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    os.execv(nginx, [nginx, "-p", str(given.scratch), "-e", f"{given.scratch}/error.log", "-c", str(config)])
