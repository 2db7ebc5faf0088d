"""The SQL of the script of rights: what a superuser executes, and what a server without a superuser
allows.

On managed servers (RDS, Cloud SQL, …), nobody is a superuser; there is only a role with more rights
than others. There each statement is tried, and if it fails, a warning says what is missing and what
to do instead.
"""

from __future__ import annotations

ROLE = """\
DO {tag}
DECLARE
  person CONSTANT text := {literal};
BEGIN
  PERFORM set_config('drd.made', 'false', false);
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = person) THEN
    CREATE ROLE {role} LOGIN;
    PERFORM set_config('drd.made', 'true', false);
  ELSIF NOT (SELECT rolcanlogin FROM pg_roles WHERE rolname = person) THEN
    PERFORM pg_temp.drd_try(
      format('ALTER ROLE %I LOGIN', person),
      format('role %I cannot log in', person),
      'Log in as a role that may change this role, and run the script again.');
  END IF;
END {tag};
"""

# Who cannot read pg_authid cannot see whether a role has a password. A new role has none.
LOGIN_CHECK = """\
DO {tag}
DECLARE
  person CONSTANT text := {literal};
  seen CONSTANT boolean := has_table_privilege('pg_authid', 'SELECT');
  lacking boolean := current_setting('drd.made')::boolean;
BEGIN
  IF seen THEN
    SELECT rolpassword IS NULL INTO lacking FROM pg_authid WHERE rolname = person;
  END IF;
  IF lacking THEN
    RAISE WARNING USING
      MESSAGE = format('role %I has no password, but the plan has one', person),
      HINT = 'Set the password of the plan in psql: \\password {hint}';
  ELSIF NOT seen THEN
    RAISE WARNING USING
      MESSAGE = format('role %I cannot see whether role %I has a password; the plan has one',
                       current_user, person),
      HINT = 'If drd doctor says that the login is refused, set the password of the plan in psql: '
        '\\password {hint}';
  END IF;
END {tag};
"""

SUPERUSER = """\
\\if :drd_superuser
SELECT NOT r.rolsuper AND EXISTS (
         SELECT FROM pg_shdepend d
          WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
            AND d.classid = 'pg_class'::regclass) AS drd_owns
  FROM pg_roles r WHERE r.rolname = {literal} \\gset
\\if :drd_owns
DO {tag}
BEGIN
  RAISE WARNING USING
    MESSAGE = format('role %I owns tables, so it is the login of an application: it does not '
      'become a superuser, because whoever breaks into the application would be a superuser, too',
      {literal}),
    HINT = 'Name a separate role for drd as user in the dsn of the plan, and run the script again. '
      'Or recover with --no-owner: then all restored objects belong to the role that restores. '
      'If you want this all the same, make this role a superuser by hand.';
END {tag};
\\else
ALTER ROLE {role} SUPERUSER;
\\endif
\\else
DO {tag}
DECLARE
  person CONSTANT text := {literal};
BEGIN
  IF NOT (SELECT rolcreatedb FROM pg_roles WHERE rolname = person) THEN
    PERFORM pg_temp.drd_try(
      format('ALTER ROLE %I CREATEDB', person),
      format('role %I cannot make the database that a recovery restores into', person),
      'Log in as a role with CREATEDB that may give this right, and run the script again.');
  END IF;
  RAISE WARNING USING
    MESSAGE = format('role %I does not become a superuser, because you (%I) are not a superuser',
                     person, current_user),
    HINT = 'Recover with --no-owner: then all restored objects belong to the role that restores. '
      'Or recover to a target on a server of your own, with owners, roles and all extensions.';
END {tag};
\\endif
"""

IF_THERE = """\
SELECT EXISTS (SELECT FROM pg_database WHERE datname = {literal}) AS drd_is_there \\gset
\\if :drd_is_there
"""

NO_DATABASE = """\
DO {tag}
BEGIN
  RAISE WARNING USING
    MESSAGE = format('database %I is not on this server, so this script gave no rights to read it',
                     {literal}),
    HINT = 'This is normal before a recovery to a new server. Run the script again after the '
      'recovery.';
END {tag};
"""

READ = """\
DO {tag}
DECLARE
  reader CONSTANT text := {literal};
  thing record;
BEGIN
  IF NOT has_database_privilege(reader, current_database(), 'CONNECT') THEN
    PERFORM pg_temp.drd_try(
      format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), reader),
      format('role %I cannot connect to database %I', reader, current_database()),
      'Log in as the owner of the database, and run the script again.');
  END IF;
  IF current_setting('server_version_num')::integer >= 140000 THEN
    IF NOT pg_has_role(reader, 'pg_read_all_data', 'USAGE') THEN
      BEGIN
        EXECUTE format('GRANT pg_read_all_data TO %I', reader);
      EXCEPTION WHEN insufficient_privilege THEN NULL;  -- the tables one by one, below
      END;
    END IF;
  END IF;
  -- A backup needs this to save the roles with the hashes of their passwords.
  IF NOT has_table_privilege(reader, 'pg_catalog.pg_authid', 'SELECT') THEN
    PERFORM pg_temp.drd_try(
      format('GRANT SELECT ON pg_catalog.pg_authid TO %I', reader),
      format('backups by role %I contain no passwords of roles', reader),
      'Do nothing now. After a recovery, set the passwords of the roles again.');
  END IF;
  IF EXISTS (SELECT FROM pg_class WHERE relrowsecurity)
     AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = reader) THEN
    PERFORM pg_temp.drd_try(
      format('ALTER ROLE %I BYPASSRLS', reader),
      format('row security hides rows from role %I, so its backups fail', reader),
      'If the policies of these tables are not forced, name the owner of the tables as user in the '
      'dsn of the plan. If they are forced, ask the provider for a role with BYPASSRLS.');
  END IF;
  IF EXISTS (SELECT FROM pg_largeobject_metadata l
              WHERE NOT pg_has_role(reader, l.lomowner, 'USAGE')) THEN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
      -- Large objects have no default privileges: this gives the right for later ones as well.
      EXECUTE format('ALTER ROLE %I IN DATABASE %I SET lo_compat_privileges = on',
                     reader, current_database());
    ELSE
      FOR thing IN SELECT l.oid, o.rolname FROM pg_largeobject_metadata l
                     JOIN pg_roles o ON o.oid = l.lomowner
                    WHERE NOT pg_has_role(reader, l.lomowner, 'USAGE') LOOP
        PERFORM pg_temp.drd_try(
          format('GRANT SELECT ON LARGE OBJECT %s TO %I', thing.oid, reader),
          format('role %I cannot read large object %s', reader, thing.oid),
          format('Run the script again as the owner of the object, %I.', thing.rolname));
      END LOOP;
      RAISE WARNING USING
        MESSAGE = format(
          'role %I cannot read large objects that are made later: its backups are incomplete then',
          reader),
        HINT = 'Run the script again after each new large object, or once as a superuser; or grant '
          'the role that owns the large objects to this role.';
    END IF;
  END IF;
  IF EXISTS (SELECT FROM pg_stat_replication) THEN
    -- On a standby: to see whether its data is up to date.
    PERFORM pg_temp.drd_try(
      format('GRANT pg_read_all_stats TO %I', reader),
      format('role %I cannot see whether this standby is up to date', reader),
      'drd then takes the time of the last replayed transaction as the time of the data.');
  END IF;
END {tag};
"""

READ_EACH = """\
DO {tag}
DECLARE
  reader CONSTANT text := {literal};
  thing record;
  later text[];  -- roles whose new tables the reader cannot read
  lacking text[];
  owners text;
BEGIN
  IF current_setting('server_version_num')::integer >= 140000 THEN
    IF pg_has_role(reader, 'pg_read_all_data', 'USAGE') THEN RETURN; END IF;
  END IF;
  -- What an owner can give, or a member of an owner.
  FOR thing IN SELECT n.nspname FROM pg_namespace n
                WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                  AND NOT has_schema_privilege(reader, n.oid, 'USAGE')
                  AND has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION') LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', thing.nspname, reader);
  END LOOP;
  FOR thing IN SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
                      n.nspname, c.relname
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S') AND c.relpersistence <> 't'
                  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                  AND NOT has_table_privilege(reader, c.oid, 'SELECT')
                  AND has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION') LOOP
    EXECUTE format('GRANT SELECT ON %s %I.%I TO %I',
                   thing.kind, thing.nspname, thing.relname, reader);
  END LOOP;
  FOR thing IN SELECT r.rolname FROM pg_roles r
                WHERE r.rolname !~ '^pg_' AND NOT pg_has_role(reader, r.oid, 'USAGE') AND r.oid IN (
                      SELECT datdba FROM pg_database WHERE datname = current_database()
                      UNION SELECT c.relowner
                        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE c.relkind IN ('r', 'p', 'm', 'S') AND c.relpersistence <> 't'
                         AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                         AND NOT EXISTS (SELECT FROM pg_depend d
                              WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                AND d.deptype = 'e')) LOOP
    BEGIN
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT USAGE ON SCHEMAS TO %I',
                     thing.rolname, reader);
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON TABLES TO %I',
                     thing.rolname, reader);
      EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON SEQUENCES TO %I',
                     thing.rolname, reader);
    EXCEPTION WHEN insufficient_privilege THEN
      later := later || format('%I', thing.rolname);
    END;
  END LOOP;
  SELECT array_agg(name ORDER BY name), string_agg(DISTINCT format('%I', owner), ', ')
    INTO lacking, owners
    FROM ({unreadable}) u(name, kind, schema, owner);
  IF lacking IS NOT NULL THEN
    RAISE WARNING USING
      MESSAGE = format('role %I cannot read %s', reader, array_to_string(lacking[1:5], ', '))
        || CASE WHEN lacking[6] IS NULL THEN ''
                ELSE format(' and %s more', cardinality(lacking) - 5) END,
      HINT = format('Run the script again as the owner (%s), or as a role that may grant '
        'pg_read_all_data.', owners);
  END IF;
  IF later IS NOT NULL THEN
    RAISE WARNING USING
      MESSAGE = format('role %I cannot read tables that these roles make later: %s', reader,
                       array_to_string(later, ', ')),
      HINT = 'Run the script again as each of these roles, or after each new table.';
  END IF;
END {tag};
"""

TRY = """\
CREATE OR REPLACE FUNCTION pg_temp.drd_try(command text, lacking text, instead text)
RETURNS void LANGUAGE plpgsql AS $drd$
BEGIN
  EXECUTE command;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE WARNING USING MESSAGE = lacking || ': ' || SQLERRM, HINT = instead;
END $drd$;
"""

LOOK = """\
SELECT pg_is_in_recovery() AS drd_standby,
       current_setting('is_superuser')::boolean AS drd_superuser \\gset
\\if :drd_standby
\\set drd_is_incomplete true
DO $drd$
DECLARE
  primary_server text;
BEGIN
  SELECT format('host %s, port %s', sender_host, sender_port) INTO primary_server
    FROM pg_stat_wal_receiver WHERE sender_host IS NOT NULL;
  RAISE WARNING USING
    MESSAGE = 'this server is a standby, where nobody can give rights. Its primary is '
      || coalesce(primary_server, 'not known to the role ' || current_user),
    HINT = 'Run the script at the primary: what it gives there comes to the standby by itself.';
END $drd$;
\\else
"""

END = """\
\\if :drd_is_incomplete
DO $drd$ BEGIN
  RAISE EXCEPTION 'this server is a standby, so nothing was changed: see the warning above';
END $drd$;
\\endif
"""
