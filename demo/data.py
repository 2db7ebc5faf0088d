"""The orders API that the demo loses: its database, its sessions, its gateway's configuration."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from tests.servers import PostgresServer

DATABASE = "orders"

_ROLES = """
create role orders_api login password 'only-the-api-knows';
create role orders_report login password 'only-accounting-knows' connection limit 5;
"""

_SCHEMA = """
set role orders_api;
create type order_status as enum ('new', 'paid', 'shipped', 'cancelled');
create domain email as text check (value like '%@%');
create sequence invoice_numbers start 70001;

create table customers (
    id         bigint generated always as identity primary key,
    name       text not null,
    email      email not null unique,
    address    jsonb not null,
    created_at timestamptz not null default now()
);
create table products (
    id      bigserial primary key,
    sku     text not null unique,
    name    text not null,
    price   numeric(10, 2) not null check (price > 0),
    details jsonb not null default '{}'
);
create table orders (
    id          bigserial primary key,
    customer_id bigint not null references customers,
    status      order_status not null default 'new',
    invoice     bigint not null default nextval('invoice_numbers'),
    note        text,
    extra       jsonb not null default '{}',
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);
create table order_items (
    order_id   bigint not null references orders on delete cascade,
    line       int not null,
    product_id bigint not null references products,
    quantity   int not null check (quantity > 0),
    price      numeric(10, 2) not null,
    total      numeric(12, 2) generated always as (quantity * price) stored,
    primary key (order_id, line)
);
create table order_events (
    id       bigserial primary key,
    order_id bigint not null references orders on delete cascade,
    status   order_status not null,
    at       timestamptz not null default now()
);
"""

_ROWS = """
set role orders_api;
insert into customers (name, email, address, created_at)
select 'Customer ' || g, 'customer' || g || '@example.com',
       jsonb_build_object('city', (array['Łódź', 'München', '東京', 'Reykjavík'])[1 + g % 4],
                          'street', md5(g::text), 'lines', jsonb_build_array(g % 90, 'c/o')),
       now() - g * interval '25 minutes'
  from generate_series(1, 20000) g;

insert into products (sku, name, price, details)
select 'SKU-' || lpad(g::text, 6, '0'), 'Product ' || g, 1 + (g * 37 % 9900) / 100.0,
       jsonb_build_object('colour', substr(md5(g::text), 1, 6), 'weight_g', g * 13 % 4000)
  from generate_series(1, 2000) g;

insert into orders (customer_id, status, note, extra, created_at, updated_at)
select 1 + g * 7919 % 20000, (array['new', 'paid', 'shipped', 'cancelled'])[1 + g %
  4]::order_status,
       case when g % 5 = 0 then 'Leave it with the neighbour, "' || md5(g::text) || '"' end,
       jsonb_build_object('channel', (array['web', 'app', 'phone'])[1 + g % 3], 'trace', md5('t' ||
         g)),
       now() - (100000 - g) * interval '40 seconds', now() - (100000 - g) * interval '40 seconds'
  from generate_series(1, 100000) g;

insert into order_items (order_id, line, product_id, quantity, price)
select g, line, 1 + (g * 31 + line * 17) % 2000, 1 + (g + line) % 4, 1 + ((g * line) % 9900) / 100.0
  from generate_series(1, 100000) g, generate_series(1, 2) line;

insert into order_events (order_id, status, at)
select id, status, created_at from orders order by id;
"""

_BEHAVIOUR = """
set role orders_api;
create index orders_by_customer on orders (customer_id);
create index orders_by_extra on orders using gin (extra);
create view open_orders as
    select o.id, c.name, o.created_at, sum(i.total) as total
      from orders o join customers c on c.id = o.customer_id join order_items i on i.order_id = o.id
     where o.status in ('new', 'paid') group by o.id, c.name, o.created_at;
create function order_changed() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' or new.status is distinct from old.status then
        insert into order_events (order_id, status) values (new.id, new.status);
    end if;
    return null;
end $$;
create trigger order_changed after insert or update on orders
    for each row execute function order_changed();
comment on table orders is 'One row an order; money is in order_items.';
grant select on all tables in schema public to orders_report;
alter default privileges for role orders_api in schema public grant select on tables to
  orders_report;
"""

_NEW_ORDERS = """
set role orders_api;
insert into orders (customer_id, extra)
select 1 + g * 104729 % 20000, jsonb_build_object('channel', 'web', 'trace', md5('n' || g))
  from generate_series(1, 1500) g;
insert into order_items (order_id, line, product_id, quantity, price)
select id, 1, 1 + id % 2000, 1 + id % 3, 9.90 from orders where id > 100000;
update orders set status = 'paid', updated_at = now() where id > 100000 and id % 3 = 0;
"""

_CONFIGURATION = {
    "nginx.conf": "worker_processes auto;\nhttp { include conf.d/*.conf; include sites/*; }\n",
    "conf.d/limits.conf": "limit_req_zone $binary_remote_addr zone=api:10m rate=20r/s;\n",
    "sites-available/orders": "server { listen 443 ssl; location / { proxy_pass http://api; } }\n",
    "orders/api.toml": '[database]\nurl = "postgresql:///orders"\n\n[sessions]\nttl = "24h"\n',
    'orders/price list "2026", été.csv': "sku;price\nSKU-000001;1.37\n",
}


def create_database(server: PostgresServer) -> int:
    """Make and fill the orders database with its two roles; returns how many rows it has."""
    server.execute(_ROLES)
    server.execute(f"create database {DATABASE} owner orders_api")
    server.execute(f"alter database {DATABASE} set timezone to 'Europe/Berlin'")
    for part in (_SCHEMA, _ROWS, _BEHAVIOUR):
        server.execute(part, DATABASE)
    server.execute("analyze", DATABASE)
    return count_rows(server)


def count_rows(server: PostgresServer) -> int:
    tables = ("customers", "products", "orders", "order_items", "order_events")
    sums = " + ".join(f"(select count(*) from {name})" for name in tables)
    return int(server.execute(f"select {sums}", DATABASE)[0][0])


def take_new_orders(server: PostgresServer) -> None:
    """Do what customers do between two backups: 1,500 orders, a third of them paid at once."""
    server.execute(_NEW_ORDERS, DATABASE)


def create_sessions(file: Path) -> None:
    """Make a SQLite database in WAL mode: sessions and feature flags."""
    with _sqlite(file) as database:
        database.execute("pragma journal_mode = wal")
        database.executescript(
            "create table sessions (token text primary key, customer int, data blob, seen real);"
            "create index sessions_by_customer on sessions (customer);"
            "create table feature_flags (name text primary key, enabled int not null, note text);"
        )
        database.executemany(
            "insert into sessions values (?, ?, ?, ?)",
            ((os.urandom(16).hex(), n, os.urandom(200), time.time() - n) for n in range(5000)),
        )
        flags = [("express-checkout", 1, "since May"), ("new-search", 0, "until it is faster")]
        database.executemany("insert into feature_flags values (?, ?, ?)", flags)


def sign_in(file: Path) -> None:
    """Add twenty sessions, and switch a feature on."""
    with _sqlite(file) as database:
        database.executemany(
            "insert into sessions values (?, ?, ?, ?)",
            ((os.urandom(16).hex(), n, os.urandom(200), time.time()) for n in range(20)),
        )
        database.execute("update feature_flags set enabled = 1 where name = 'new-search'")


class _sqlite:  # noqa: N801 - reads as a function
    """A connection whose changes are committed at the end of the block, and which is closed."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file)

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._connection.commit()
        self._connection.close()


def create_configuration(root: Path) -> None:
    """Make the configuration in /etc: modes, a key, a link, an empty directory, names that are hard
    to type.
    """
    for name, text in _CONFIGURATION.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    Path(os.fsdecode(bytes(root / "conf.d") + b"/caf\xe9.conf")).write_text("# Latin-1 in a name\n")
    (root / "sites").mkdir()
    (root / "sites/orders").symlink_to("../sites-available/orders")
    (root / "empty").mkdir(mode=0o750)
    key = root / "orders/tls.key"
    key.write_text("-----BEGIN PRIVATE KEY-----\n" + os.urandom(48).hex() + "\n")
    key.chmod(0o600)


def change_configuration(root: Path) -> None:
    """Raise a limit, as an administrator would."""
    file = root / "conf.d/limits.conf"
    file.write_text(file.read_text().replace("20r/s", "50r/s"))


def strike(server: PostgresServer, sessions: Path, configuration: Path) -> None:
    """Simulate the disaster: drop tables, overwrite sessions, remove the configuration."""
    server.execute("drop table order_items, order_events, orders cascade", DATABASE)
    for file in sessions.parent.glob(sessions.name + "*"):
        file.write_bytes(b"\0" * 4096)
    for file in (configuration / "nginx.conf", configuration / "orders/api.toml"):
        file.write_text("all your files are ours\n")
    (configuration / "orders/tls.key").unlink()
