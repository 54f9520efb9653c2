-- Which night stands for a date, whom nobody may contact from now on, what listings say of ids, stock and acceptances.
-- Every statement may run on a store of any release, and run again.
CREATE TABLE IF NOT EXISTS cpc.night (
    business_date date PRIMARY KEY, run_id text NOT NULL, state text NOT NULL, note text,
    published_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS cpc.stop (
    customer_id bigint NOT NULL, channel text NOT NULL DEFAULT 'all', stopped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, channel));
ALTER TABLE cpc.stop ADD COLUMN IF NOT EXISTS reason text;
ALTER TABLE cpc.stop ADD COLUMN IF NOT EXISTS who text DEFAULT session_user;
CREATE TABLE IF NOT EXISTS cpc.product (id bigint, code text, label text, label_zh text);
CREATE TABLE IF NOT EXISTS cpc.channel (id bigint, code text, label text, label_zh text);
DO $$
DECLARE listing text;
BEGIN
    FOREACH listing IN ARRAY ARRAY['product', 'channel'] LOOP
        IF NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = ('cpc.' || listing)::regclass AND i.indisprimary) THEN
            EXECUTE format('ALTER TABLE cpc.%I ADD PRIMARY KEY (id)', listing);
        END IF;
    END LOOP;
END $$;
ALTER TABLE cpc.product
    ADD COLUMN IF NOT EXISTS product_group text, ADD COLUMN IF NOT EXISTS price numeric,
    ADD COLUMN IF NOT EXISTS term_months integer, ADD COLUMN IF NOT EXISTS launch_date date,
    ADD COLUMN IF NOT EXISTS end_date date, ADD COLUMN IF NOT EXISTS in_use boolean NOT NULL DEFAULT true;
ALTER TABLE cpc.channel
    ADD COLUMN IF NOT EXISTS direction text, ADD COLUMN IF NOT EXISTS cost numeric,
    ADD COLUMN IF NOT EXISTS in_use boolean NOT NULL DEFAULT true;
CREATE TABLE IF NOT EXISTS cpc.stock (
    business_date date NOT NULL, name text NOT NULL, remaining bigint NOT NULL CHECK (remaining >= 0),
    charge_micro bigint NOT NULL DEFAULT 0, PRIMARY KEY (business_date, name));
CREATE TABLE IF NOT EXISTS cpc.stock_product (
    business_date date NOT NULL, name text NOT NULL, product smallint NOT NULL,
    PRIMARY KEY (business_date, product, name));
CREATE TABLE IF NOT EXISTS cpc.acceptance (
    business_date date NOT NULL, customer_id bigint NOT NULL, product smallint NOT NULL, channel smallint NOT NULL,
    decision_id text NOT NULL, accepted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (business_date, customer_id, product));
COMMENT ON TABLE cpc.stop IS 'a customer to stop at once: a channel''s code, or all (a code that is no channel''s stops all too)';
