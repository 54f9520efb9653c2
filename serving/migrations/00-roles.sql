-- Three roles, to which a DBA adds logins. Where the publisher may not make roles, its own tables are as before.
--   cpc_read   reads all (nothing here holds a number)
--   cpc_api    reads; stops customers, takes acceptances and stock
--   cpc_write  owns the schema: publishes, changes it
DO $$
DECLARE wanted text; thing record;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['cpc_read', 'cpc_api', 'cpc_write'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
    IF NOT pg_has_role(current_user, 'cpc_write', 'MEMBER') THEN
        EXECUTE format('GRANT cpc_write TO %I', current_user);
    END IF;
    GRANT USAGE ON SCHEMA cpc TO cpc_read, cpc_api, cpc_write;
    GRANT CREATE ON SCHEMA cpc TO cpc_write;
    GRANT SELECT ON ALL TABLES IN SCHEMA cpc TO cpc_read, cpc_api;
    ALTER DEFAULT PRIVILEGES FOR ROLE cpc_write IN SCHEMA cpc GRANT SELECT ON TABLES TO cpc_read, cpc_api;
    FOR thing IN SELECT c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'cpc' AND c.relkind IN ('r', 'p', 'v') AND pg_get_userbyid(c.relowner) <> 'cpc_write'
    LOOP
        EXECUTE format('ALTER %s cpc.%I OWNER TO cpc_write',
            CASE thing.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, thing.relname);
    END LOOP;
    FOR thing IN SELECT p.oid::regprocedure::text AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'cpc' AND pg_get_userbyid(p.proowner) <> 'cpc_write'
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO cpc_write', thing.name);
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'roles cpc_read, cpc_api, cpc_write are not made: %', SQLERRM;
END $$;
