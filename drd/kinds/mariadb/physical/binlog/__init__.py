"""The binary log of a MariaDB server: received, stored and replayed."""
