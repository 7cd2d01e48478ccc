// What node-postgres gets from the server at a port, as JSON: simple and prepared queries, parameters, errors.
const { Client } = require('pg');

async function main() {
  const client = new Client({
    host: '127.0.0.1', port: +process.argv[2], user: 'ana', password: 'ana-secret word', database: 'lake',
  });
  await client.connect();
  const out = {};
  const one = async (text, values, name) => (await client.query({ text, values, name, rowMode: 'array' })).rows[0];
  out.values = await one("SELECT 1, 'text', true, NULL, 1.5, ARRAY['a','b'], DATE '2026-03-01' IS NOT NULL");
  out.parameter = await one('SELECT length(hs_code($1)), $2::int + 1', ['cotton shirts', 41]);
  out.prepared = [];
  for (let i = 0; i < 3; i++) out.prepared.push((await one('SELECT $1::int * 2', [i], 'double'))[0]);
  out.count = (await one('SELECT count(*) FROM predictions'))[0];
  try { await client.query('SELECT * FROM nothing_here'); } catch (e) { out.state = e.code; }
  try { await client.query('SELECT nocolumn FROM predictions WHERE hs6 = $1', ['1']); } catch (e) { out.column = e.code; }
  out.after = (await one('SELECT 1'))[0];
  await client.end();
  console.log(JSON.stringify(out));
}

main().catch((e) => { console.error(e); process.exit(1); });
