/** Values of every PostgreSQL type, with the ends of its range and whatever is hard to carry. */
import type { TestDatabase } from './postgres.ts'

/** Types beyond pg_catalog's: an enum, domains, composites, a range. Extensions where the server has them. */
export const OWN_TYPES = `
  CREATE TYPE mood AS ENUM ('sad', 'so so', 'ö "quoted", \\');
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE DOMAIN day AS date;
  CREATE DOMAIN words AS text[];
  CREATE TYPE pair AS (a int, b text, c numeric[]);
  CREATE TYPE nested AS (p pair, m mood);
  CREATE TYPE floatrange AS RANGE (subtype = float8);`

export const EXTENSIONS = ['hstore', 'citext'] as const

const TIMES_OF_DAY = ['00:00:00', '24:00:00', '23:59:59.999999', '12:30:00.5', '00:00:00.000001']
const TIMESTAMPS = [
  '2024-03-31 01:30:00.123456',
  'infinity',
  '-infinity',
  '294276-12-31 23:59:59.999999',
  '294247-01-10 04:00:54.775807',
  '294247-01-10 04:00:54.775808',
  '4714-11-24 00:00:00 BC',
  '0044-03-15 12:00:00.5 BC',
  '0001-12-31 23:59:59.999999 BC',
  '0001-01-01 00:00:00',
  '1969-12-31 23:59:59.999999',
  '1970-01-01 00:00:00',
  '1999-12-31 23:59:59.99999',
  '2024-02-29 00:00:00.1',
  '2250-12-31 23:59:59.000001',
  '2251-01-01 00:00:00',
  '2255-06-05 23:47:34.740991',
  '2255-06-05 23:47:34.740992',
  '2255-06-05 23:47:34.740993',
  '1684-07-28 00:12:25.259008',
  '1684-07-28 00:12:25.259007',
  '9999-12-31 23:59:59.999999',
  '10000-01-01 00:00:00',
]
const ODD_TEXTS = [
  '',
  ' ',
  '\\N',
  '\\',
  "it's",
  '"',
  'a\tb\nc\r\b\f\v',
  'NULL',
  '{}',
  '😀é表',
  '\u0001\u007f\ufeff',
  'ü'.repeat(300),
]

/** Literals by type; an array type's come from its elements', unless they are here. */
export const SAMPLES: Readonly<Record<string, readonly string[]>> = {
  bool: ['t', 'f'],
  int2: ['0', '-32768', '32767'],
  int4: ['0', '-1', '-2147483648', '2147483647', '1073741823', '1073741824', '-1073741825'],
  int8: [
    '0',
    '-1',
    '9007199254740991',
    '9007199254740992',
    '-9007199254740991',
    '-9007199254740993',
    '9223372036854775807',
    '-9223372036854775808',
    '999999999999999',
    '1000000000000000',
    '-99999999999999',
    '4503599627370495',
    '4503599627370496',
  ],
  oid: ['0', '4294967295', '2147483648'],
  float4: [
    '0',
    '-0',
    'NaN',
    'Infinity',
    '-Infinity',
    '1e-45',
    '3.4028235e38',
    '1.17549435e-38',
    '0.1',
    '16777216',
    '1e15',
    '7.038531e-26',
    '-7.038531e-26',
    '7.0385303e-26',
    '123456',
    '-1.5',
  ],
  float8: [
    '0',
    '-0',
    'NaN',
    'Infinity',
    '-Infinity',
    '5e-324',
    '1.7976931348623157e308',
    '2.2250738585072014e-308',
    '0.1',
    '1e15',
    '1e16',
    '9007199254740993',
    '-1.5',
    '123456789.12345679',
  ],
  numeric: [
    'NaN',
    'Infinity',
    '-Infinity',
    '0',
    '-0',
    '0.000',
    '1.10',
    '1e20',
    '-1e-20',
    `0.${'0'.repeat(16_382)}1`,
    '123456789012345678901234567890.123456789',
    '9007199254740993',
  ],
  money: ['0', '-92233720368547758.08', '92233720368547758.07', '1234.5'],
  text: ODD_TEXTS,
  varchar: ODD_TEXTS,
  bpchar: ['', ' ', 'a', 'a  ', '表'],
  name: ['', 'a"b', 'é'.repeat(31)],
  char: ['', 'a', '\\', '\\200', '\\000'],
  bytea: ['\\x', '\\x00', '\\xdeadbeef', '\\x5c4e0a'],
  uuid: [
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '0196A2B4-7C00-7000-8000-0000000000AA',
  ],
  date: [
    '2024-02-29',
    'infinity',
    '-infinity',
    '4714-11-24 BC',
    '5874897-12-31',
    '0001-12-31 BC',
    '0001-01-01',
    '1969-12-31',
    '1970-01-01',
    '9999-12-31',
    '10000-01-01',
    '1582-10-15',
    '1900-02-28',
  ],
  time: TIMES_OF_DAY,
  timetz: TIMES_OF_DAY.flatMap((time) => [`${time}+00`, `${time}-15:59:59`, `${time}+05:30`]),
  timestamp: TIMESTAMPS,
  timestamptz: [
    ...TIMESTAMPS.map((each) => (each.endsWith('y') ? each : each.replace(/( BC)?$/, '+00$1'))),
    '2024-06-01 00:30:00.25+01',
    '2024-06-01 00:30:00-05:45',
  ],
  interval: [
    '0',
    '1 year 2 mons -3 days 04:05:06.789',
    '-178000000 years',
    '178000000 years',
    '-1 day +00:00:01',
    'infinity',
    '-infinity',
    '2147483647 days',
    '00:00:00.000001',
    '1 mon -1 day',
  ],
  json: [
    '{"a":1,"a":2,  "n":123456789012345678901234567890.10}',
    '1e999',
    'null',
    '""',
    '[ 1 ,"\\u00e9\\ud83d\\ude00" ]',
    '"a\\tb"',
  ],
  jsonb: ['{"b":1,"a":{"n":123456789012345678901234567890.10}}', '1e99', 'null', '""', '[1, "\\u00e9\\ud83d\\ude00"]'],
  jsonpath: ['$.a[*] ? (@.b > 1)', 'strict $'],
  xml: ['<a b="c">d &amp; é</a>', 'text', '<?xml version="1.0"?><x/>'],
  bit: ['0', '1'],
  varbit: ['', '0', '10101', '1'.repeat(300)],
  inet: ['10.0.0.1', '10.0.0.1/8', '::1', '2001:db8::/32', '::ffff:1.2.3.4/128'],
  cidr: ['10.0.0.0/8', '::/0', '2001:db8::/32'],
  macaddr: ['08:00:2b:01:02:03'],
  macaddr8: ['08:00:2b:01:02:03:04:05'],
  point: ['(0,-0)', '(NaN,Infinity)', '(1e300,5e-324)'],
  line: ['{1,-1,0}'],
  lseg: ['[(0,0),(1,1)]'],
  box: ['(1,1),(0,0)'],
  path: ['[(0,0),(1,1)]', '((0,0),(1,1),(2,0))'],
  polygon: ['((0,0),(1,1),(2,0))'],
  circle: ['<(0,0),1.5>'],
  tsvector: ["'a':1A 'it''s':2,3B", ''],
  tsquery: ["'a' & !'b' <-> 'c':*A", ''],
  pg_lsn: ['0/0', 'FFFFFFFF/FFFFFFFF'],
  xid: ['0', '4294967295'],
  xid8: ['0', '18446744073709551615'],
  cid: ['0', '4294967295'],
  tid: ['(0,0)', '(4294967295,65535)'],
  txid_snapshot: ['10:20:10,14'],
  pg_snapshot: ['10:20:10,14'],
  int2vector: ['', '1 -2 3'],
  oidvector: ['', '1 4294967295'],
  _int2vector: ['{"1 2",NULL,""}'],
  _oidvector: ['{"1 2",NULL,""}'],
  refcursor: ['', 'a "cursor"'],
  aclitem: ['=r/postgres', 'postgres=arwdDxtm/postgres'],
  regproc: ['-', 'now'],
  regprocedure: ['-', 'abs(int4)'],
  regoper: ['0', 'pg_catalog.||/'],
  regoperator: ['0', '+(int4,int4)'],
  regclass: ['-', 'pg_class', '999999999'],
  regcollation: ['-', '"C"'],
  regtype: ['-', 'timestamp with time zone', 'int4[]'],
  regrole: ['-', 'pg_monitor'],
  regnamespace: ['-', 'pg_catalog'],
  regconfig: ['-', 'english'],
  regdictionary: ['-', 'simple'],
  int4range: ['empty', '[1,5)', '(,)', '[-2147483648,2147483647)'],
  int8range: ['empty', '[9007199254740993,)', '(,0]'],
  numrange: ['[1.50,2.500]', '(NaN,NaN]', '(,-1e-9)'],
  daterange: ['[2024-01-01,infinity)', '[-infinity,infinity]', '(,5874897-01-01)'],
  tsrange: ['["2024-01-01 00:00:00.5",infinity]', '(,)'],
  tstzrange: ['["2024-01-01 00:00:00+01","2024-06-01 00:00:00+00")'],
  int4multirange: ['{}', '{[1,3),[5,9)}'],
  int8multirange: ['{[9007199254740993,)}'],
  nummultirange: ['{[1.50,2.500],(3,)}'],
  datemultirange: ['{[2024-01-01,2024-02-01)}'],
  tsmultirange: ['{["2024-01-01 00:00:00.5",infinity]}'],
  tstzmultirange: ['{["2024-01-01 00:00:00+01","2024-06-01 00:00:00+00")}'],
  mood: ['sad', 'so so', 'ö "quoted", \\'],
  positive: ['1', '2147483647'],
  day: ['2024-02-29', 'infinity', '0044-03-15 BC'],
  words: ['{}', '{"a b",NULL,"q\\"uo,te","\\\\"}', '[0:1]={x,y}'],
  _words: ['{"{a,NULL}",NULL,"{}"}'],
  pair: ['(1,"q""uote, \\\\ (x)","{1.0,NULL}")', '(,,)', '(1,"",{})'],
  nested: ['("(1,""a b"",)",sad)', '(,)'],
  floatrange: ['[-Infinity,5e-324)', '[0.1,NaN]'],
  floatmultirange: ['{[0.1,0.30000000000000004)}'],
  hstore: ['', '"a b"=>"c\\"d", n=>NULL, e=>""'],
  citext: ['', 'MiXed'],
}

/** What is large: it leaves the row, and an update that does not touch it does not send it. */
export const LARGE: Readonly<Record<string, string>> = {
  text: `repeat('😀é', 175000)`,
  bytea: `decode(repeat('00ff5c4e', 262144), 'hex')`,
  numeric: `(repeat('9', 131072) || '.' || repeat('7', 16383))::numeric`,
  json: `('{"a":"' || repeat('x\\ty', 200000) || '"}')::json`,
  jsonb: `jsonb_build_object('a', repeat('y', 500000))`,
  _text: `array_fill('a "b" \\'::text, ARRAY[20000], ARRAY[-5])`,
}

export interface SampledType {
  readonly name: string
  readonly oid: number
  /** SQL expressions of the type, all different. */
  readonly values: readonly string[]
}

interface FoundType {
  readonly name: string
  readonly oid: string
  readonly element: string | null
}

/**
 * The types of the database that a column can have, each with its values; the types of catalogue rows, which nobody
 * stores, left out. `without` lists those that have no sample.
 */
export async function sampledTypes(database: TestDatabase): Promise<{ sampled: SampledType[]; without: string[] }> {
  const found = await database.query<FoundType>(`
    SELECT t.typname AS name, t.oid::text, e.typname AS element
    FROM pg_type t
    JOIN pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_type e ON e.typarray = t.oid
    LEFT JOIN pg_class c ON c.oid = coalesce(nullif(t.typrelid, 0), e.typrelid)
    WHERE n.nspname IN ('pg_catalog', 'public') AND t.typtype <> 'p' AND e.typtype IS DISTINCT FROM 'p'
      AND (c.oid IS NULL OR c.relkind = 'c')
    ORDER BY t.oid`)
  const all = found.map(({ name, oid, element }) => ({ name, oid: Number(oid), values: valuesOf(name, element) }))
  return {
    sampled: all.filter(({ values }) => values.length > 0),
    without: all.filter(({ values }) => values.length === 0).map(({ name }) => name),
  }
}

function valuesOf(name: string, element: string | null): string[] {
  const large = LARGE[name] === undefined ? [] : [LARGE[name]]
  const own = SAMPLES[name]
  if (own !== undefined) return [...own.map((text) => literal(text, name)), ...large]
  const elements = element === null ? undefined : SAMPLES[element]
  if (elements === undefined || elements.length === 0) return []
  const each = elements.map((text) => literal(text, element!))
  const all = `ARRAY[${[...each, `NULL::"${element}"`].join(', ')}]`
  const first = each[0]!
  return [
    `'{}'::"${name}"`,
    all,
    `ARRAY[ARRAY[${first}, NULL], ARRAY[NULL, ${each.at(-1)}]]`,
    `('[-1:0]=' || ARRAY[${first}, ${each.at(-1)}]::text)::"${name}"`,
    ...large,
  ]
}

function literal(text: string, type: string): string {
  return `'${text.replaceAll("'", "''")}'::"${type}"`
}
