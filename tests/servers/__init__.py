"""Real servers for tests, the demo and the benchmarks: SeaweedFS for S3, PostgreSQL, a proxy.

Each is a context manager, listens on loopback or a Unix socket only, keeps all its files in a
directory that the caller gives, and is ended at the end of the block or when its parent dies.
"""

from tests.servers.child import ServerError, short_directory
from tests.servers.far import RestServer, SshServer, rest_server, ssh_server
from tests.servers.mariadb import MariadbServer, mariadb_server
from tests.servers.postgres import PostgresServer, postgres_server
from tests.servers.proxy import Proxy, tcp_proxy
from tests.servers.s3 import S3Server, s3_server

__all__ = [
    "MariadbServer",
    "PostgresServer",
    "Proxy",
    "RestServer",
    "S3Server",
    "ServerError",
    "SshServer",
    "mariadb_server",
    "postgres_server",
    "rest_server",
    "s3_server",
    "short_directory",
    "ssh_server",
    "tcp_proxy",
]
