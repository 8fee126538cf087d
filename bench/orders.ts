/** A table of twelve columns and some 200 bytes a row, and changes to it: what databases that are captured look like. */
import type pg from 'pg'

export const ORDERS = 'bench.orders'

/** Changes of one transaction: 50 inserts, 40 updates, 10 deletes. */
export const IN_TRANSACTION = 100

const TABLE = `
  CREATE SCHEMA bench;
  CREATE TABLE bench.orders (
    id bigint PRIMARY KEY, customer_id bigint NOT NULL, status text NOT NULL, amount numeric(12,2), quantity int,
    price float8, paid boolean, note varchar(200), reference uuid, attributes jsonb,
    created_at timestamptz NOT NULL, updated_at timestamp);
  ALTER TABLE bench.orders REPLICA IDENTITY FULL;
  CREATE FUNCTION bench.made(i bigint) RETURNS bench.orders LANGUAGE sql AS $$
    SELECT i, i * 7919 % 100000, (array['new', 'paid', 'shipped'])[1 + i % 3], (i % 100000) * 1.25, (i % 50)::int,
           i * 0.37, i % 2 = 0, 'order ' || i || ' for the workshop, ' || md5(i::text), md5(i::text)::uuid,
           jsonb_build_object('place', i % 90, 'by', 'hand'), timestamptz '2026-01-01' + i * interval '1 second',
           timestamp '2026-01-01' + i * interval '1 second' $$;
  CREATE PROCEDURE bench.change(transactions int, first bigint) LANGUAGE plpgsql AS $$
  DECLARE k bigint;
  BEGIN
    FOR t IN 0 .. transactions - 1 LOOP
      k := first + t * 50;
      INSERT INTO bench.orders SELECT r.* FROM generate_series(k, k + 49) g, LATERAL bench.made(g) r;
      UPDATE bench.orders SET status = 'changed', amount = amount + 1 WHERE id BETWEEN k AND k + 39;
      DELETE FROM bench.orders WHERE id BETWEEN k + 40 AND k + 49;
      COMMIT;
    END LOOP;
  END $$;`

/** Makes the table and adds it to the publication. */
export async function makeOrders(client: pg.ClientBase, publication: string): Promise<void> {
  await client.query(TABLE)
  await client.query(`ALTER PUBLICATION "${publication}" ADD TABLE ${ORDERS}`)
}

/** Commits about `rows` changes in transactions of a hundred; `first` is an id that is not used yet. */
export async function changeOrders(client: pg.ClientBase, rows: number, first: number): Promise<void> {
  await client.query(`CALL bench.change(${Math.ceil(rows / IN_TRANSACTION)}, ${first})`)
}

/** Commits `rows` inserts in one transaction. */
export async function insertOrders(client: pg.ClientBase, rows: number, first: number): Promise<void> {
  await client.query(
    `INSERT INTO bench.orders SELECT r.* FROM generate_series($1::bigint, $2::bigint) g, LATERAL bench.made(g) r`,
    [first, first + rows - 1],
  )
}
