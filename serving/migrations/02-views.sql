-- What may go out or be shown now, whoever writes into stop and acceptance, and from the moment they are committed.
-- New columns go to the end: views of others that read these survive a CREATE OR REPLACE.
CREATE OR REPLACE VIEW cpc.stopped AS
SELECT s.customer_id, c.id::smallint AS channel
FROM cpc.stop s LEFT JOIN cpc.channel c ON c.code = s.channel AND c.in_use;
COMMENT ON VIEW cpc.stopped IS 'stops by channel id; null is every channel';

CREATE OR REPLACE VIEW cpc.offer AS
WITH seen AS (
    SELECT r.business_date, r.decision_id, r.customer_id, r.channel, r.rank, r.product, r.value_micro, r.valid_until,
        r.slate_probability, r.p_accept,
        EXISTS (SELECT FROM cpc.stock s JOIN cpc.stock_product p USING (business_date, name)
            WHERE p.business_date = r.business_date AND p.product = r.product
            AND (s.remaining = 0 OR r.value_micro <= s.charge_micro * r.p_accept))
        OR EXISTS (SELECT FROM cpc.acceptance a WHERE a.business_date = r.business_date
            AND a.customer_id = r.customer_id AND a.product = r.product) AS hidden
    FROM cpc.recommendation r WHERE NOT r.withdrawn AND r.p_accept IS NOT NULL
    AND NOT EXISTS (SELECT FROM cpc.stopped s WHERE s.customer_id = r.customer_id
        AND (s.channel IS NULL OR s.channel = r.channel)))
SELECT business_date, decision_id, customer_id, channel,
    row_number() OVER slate AS rank, product, value_micro, valid_until,
    CASE WHEN any_hidden THEN NULL ELSE slate_probability END AS slate_probability, p_accept
FROM (SELECT *, bool_or(hidden) OVER (PARTITION BY business_date, customer_id, channel) AS any_hidden FROM seen) x
WHERE NOT hidden WINDOW slate AS (PARTITION BY business_date, customer_id, channel ORDER BY rank);
COMMENT ON VIEW cpc.offer IS 'what an inbound channel may show a customer now, rank 1 first';

CREATE OR REPLACE VIEW cpc.contact AS
SELECT a.business_date, a.run_id, a.decision_id, a.customer_id, a.product, a.channel, a.value_micro, a.role, a.reason
FROM cpc.assignment a JOIN cpc.channel c ON c.id = a.channel AND c.direction = 'outbound'
WHERE NOT a.withdrawn
AND NOT EXISTS (SELECT FROM cpc.stopped s WHERE s.customer_id = a.customer_id
    AND (s.channel IS NULL OR s.channel = a.channel))
AND NOT EXISTS (SELECT FROM cpc.acceptance t WHERE t.business_date = a.business_date
    AND t.customer_id = a.customer_id);
COMMENT ON VIEW cpc.contact IS 'outbound contacts of a night that may still go out now';

-- A stop marks the contacts of the newest nights at once, for readers of the table itself.
CREATE OR REPLACE FUNCTION cpc.withdraw_stopped() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, cpc AS $$
BEGIN
    UPDATE cpc.assignment a SET withdrawn = true
    WHERE a.business_date >= (SELECT max(n.business_date) FROM cpc.night n WHERE n.state = 'published')
    AND a.customer_id = NEW.customer_id AND NOT a.withdrawn AND a.channel IS NOT NULL
    AND EXISTS (SELECT FROM cpc.stopped s WHERE s.customer_id = NEW.customer_id
        AND (s.channel IS NULL OR s.channel = a.channel));
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER withdraw_stopped AFTER INSERT OR UPDATE ON cpc.stop
FOR EACH ROW EXECUTE FUNCTION cpc.withdraw_stopped();
