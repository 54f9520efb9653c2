-- What cpc_api may change: stops, acceptances, and with these stock and the customer's contacts.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cpc_api') THEN
        GRANT INSERT, DELETE ON cpc.stop TO cpc_api;
        GRANT INSERT ON cpc.acceptance TO cpc_api;
        GRANT UPDATE (remaining) ON cpc.stock TO cpc_api;
        GRANT UPDATE (withdrawn) ON cpc.assignment TO cpc_api;
    END IF;
END $$;
