import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { Errors, type ValueError } from '@sinclair/typebox/errors'
import { findMistypedNames, type MistypedName } from './config/mistyped-names.ts'
import { parseSigningKeys, type SigningKey } from './config/signing-keys.ts'
import { parseStorageUrl, type StorageUrl } from './config/storage-url.ts'
import { ConfigError } from './problems.ts'

const GIB = 1024 ** 3
const MIB = 1024 ** 2

const PROXIES = 'addresses such as 10.0.0.1, or ranges such as 10.0.0.0/8'

const HTTP_URL = /^https?:\/\/[^/?#\s]+(\/[^?#\s]*)?$/
const MAX_PUBLIC_URL_LENGTH = 2048

/** A path that can stand in YAML and in a shell command as it is. */
const PLAIN_PATH = /^(?:[\w\-./~:@!+,=]|%[0-9A-F]{2})*$/i

/** Comma-separated items that match a pattern; `expected` describes them in error messages. */
const List = (description: string, { item, expected }: { item: string, expected: string }) =>
  Type.String({ pattern: `^${item}(?:,${item})*$`, description, expected })

const OneOf = <const Choice extends string>(choices: Choice[], options: { default?: Choice, description: string }) =>
  Type.Union(choices.map(choice => Type.Literal(choice)), options)

/** A number of bytes; the operator can add a unit. */
const Bytes = (description: string, fallback?: number) =>
  Type.Integer({
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description,
    isByteSize: true,
    ...(fallback !== undefined && { default: fallback })
  })

/**
 * Every setting, by the name of its environment variable. Validation, `--help` and the README's table are made from it.
 */
export const Settings = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', minLength: 1, description: 'Address to listen on.' }),
  PORT: Type.Integer({
    default: 5000,
    minimum: 0,
    maximum: 65535,
    description: 'Port to listen on; 0 picks a free one.'
  }),
  DATA_DIR: Type.String({
    default: './data',
    minLength: 1,
    description:
      'Folder for files, database and keys, unless DATABASE_URL or STORAGE_URL is set; created with mode 0700.'
  }),
  DATABASE_URL: Type.String({
    default: 'sqlite:',
    description: 'SQLite in DATA_DIR, or PostgreSQL 15 or newer, such as ' +
      'postgres://user:password@host/database?sslmode=verify-full.'
  }),
  STORAGE_URL: Type.Optional(Type.String({
    description: 'S3-compatible bucket for the bytes of files: ' +
      's3://bucket/prefix?endpoint=https://s3.example.org&region=eu-central-1. Credentials as for the AWS SDK.'
  })),
  BLOB_GRACE_SECONDS: Type.Integer({
    default: 3600,
    minimum: 0,
    maximum: 2_592_000,
    description: 'How long a bucket keeps deleted bytes, for downloads in progress.'
  }),
  DOWNLOAD_REDIRECT_SECONDS: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 86400,
    description:
      'Downloads over 5 MiB redirect to a bucket URL that is valid this long (at most BLOB_GRACE_SECONDS); 0: never.'
  }),
  PUBLIC_URL: Type.Optional(Type.String({
    description: 'Public address, for links and passkeys, such as https://files.example.org.'
  })),
  TOKEN_SECONDS: Type.Integer({
    default: 600,
    minimum: 1,
    maximum: 86400,
    description: 'Lifetime of an access token.'
  }),
  SIGNING_KEYS: Type.Optional(Type.String({
    description: 'Access token keys as kid:secret, comma-separated: the first signs, all verify. ' +
      'Secrets need 32 bytes. Unset, one is made beside the database.'
  })),
  SEALING_KEYS: Type.Optional(Type.String({
    description: 'The same for keys that encrypt the secrets of one-time codes.'
  })),
  MAX_FILE_BYTES: Bytes('Largest file.', 5 * GIB),
  UPLOAD_EXPIRY_HOURS: Type.Integer({
    default: 24,
    minimum: 1,
    maximum: 8760,
    description: 'How long an unfinished upload waits for more bytes.'
  }),
  KEEP_DAYS: Type.Integer({
    default: 30,
    minimum: 0,
    maximum: 36_500,
    description: 'Days to keep versions and deleted files; 0: none.'
  }),
  KEEP_VERSIONS: Type.Integer({ default: 10, minimum: 0, maximum: 1000, description: 'Versions kept of one file.' }),
  QUOTA_BYTES: Type.Optional(Bytes('Bytes per account; `magicstore user quota` overrides it.')),
  QUOTA_FILES: Type.Optional(Type.Integer({
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Files and folders per account; `magicstore user quota` overrides it.'
  })),
  ALLOWED_EXTENSIONS: Type.Optional(List('Allowed file name extensions, comma-separated, case-insensitive.', {
    item: ' *\\.?[^\\s./\\\\,]+ *', expected: 'extensions such as pdf,jpg'
  })),
  MIN_FREE_BYTES: Bytes('Free disk space that uploads must leave.', 64 * MIB),
  PASSWORD_POLICY: Type.Optional(OneOf(['open', 'strict'], {
    description: '`strict` requires 8 characters and rejects common passwords and the username. ' +
      'Unset: `strict` if NODE_ENV is production, HOST is not loopback or TRUST_PROXY is set.'
  })),
  REGISTRATION: OneOf(['open', 'closed'], {
    default: 'open',
    description: '`closed`: only the operator adds accounts, or invites people.'
  }),
  SECOND_FACTOR: OneOf(['optional', 'required'], {
    default: 'optional',
    description: '`required`: without one, a password can only set one up.'
  }),
  LINKS: OneOf(['on', 'off'], {
    default: 'off',
    description: '`on` lets owners share files and folders by links.'
  }),
  LINK_MAX_DAYS: Type.Integer({
    default: 30,
    minimum: 0,
    maximum: 36_500,
    description: 'Longest and default lifetime of a link in days; 0: no limit.'
  }),
  WEB_PAGE: OneOf(['on', 'off'], { default: 'on', description: '`off` removes the page for browsers.' }),
  TRUST_PROXY: Type.Optional(List(
    'Proxies whose forwarding headers count: addresses or CIDR ranges, comma-separated.',
    { item: ' *[0-9A-Fa-f.:]+(?:/[0-9]{1,3})? *', expected: PROXIES }
  )),
  CORS_ORIGINS: Type.Optional(Type.String({
    description: 'Origins whose pages may call the API, such as https://app.example.org, comma-separated.'
  })),
  TLS_CERT: Type.Optional(Type.String({
    minLength: 1,
    description: 'Certificate chain file (PEM); enables HTTPS with HTTP/2 and 1.1. Reloaded on SIGHUP.'
  })),
  TLS_KEY: Type.Optional(Type.String({ minLength: 1, description: 'Private key file (PEM) for TLS_CERT.' })),
  RATE_LIMIT_PER_MINUTE: Type.Integer({
    default: 6000,
    minimum: 0,
    maximum: 1_000_000_000,
    description: 'Requests per minute from one client address; 0: no limit.'
  }),
  SIGN_IN_FAILURES: Type.Integer({
    default: 10,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Failed sign-ins allowed in 15 minutes per account and network; ten times as many per network.'
  }),
  REGISTRATIONS_PER_HOUR: Type.Integer({
    default: 100,
    minimum: 0,
    maximum: 1_000_000,
    description: 'Registrations per hour from one network; 0: no limit.'
  }),
  IDLE_SECONDS: Type.Integer({
    default: 60,
    minimum: 1,
    maximum: 86400,
    description: 'A transfer is cut after this many seconds without a byte; a stalled download within twice as many.'
  }),
  MAX_EVENT_LOOP_DELAY_MS: Type.Integer({
    default: 1000,
    minimum: 0,
    maximum: 3_600_000,
    description: 'Event loop delay, averaged over two seconds, above which new requests get 503; 0: no limit.'
  }),
  MAX_MEMORY_BYTES: Bytes(
    'Memory above which new requests get 503 while more than 16 are in progress; 0: no limit.', 1.5 * GIB
  ),
  METRICS_HOST: Type.String({
    default: '127.0.0.1',
    minLength: 1,
    description: 'Address of the metrics, which need no credentials.'
  }),
  METRICS_PORT: Type.Optional(Type.Integer({
    minimum: 0,
    maximum: 65535,
    description: 'Port of Prometheus metrics, at /metrics. Unset: none.'
  })),
  BACKUP_HOURS: Type.Optional(Type.Integer({
    minimum: 1,
    maximum: 8760,
    description: 'Hours until `/health/ready` calls the latest backup late.'
  })),
  EVENT_DAYS: Type.Integer({ default: 90, minimum: 1, maximum: 36_500, description: 'Days to keep security events.' }),
  EVENT_LOG: Type.Optional(Type.String({
    minLength: 1,
    description: 'File that also gets each security event, as a line of JSON.'
  })),
  LOG_LEVEL: OneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    description: 'Lowest level to log.'
  }),
  NODE_ENV: Type.Optional(Type.String({ description: '`production` makes the strict password policy the default.' }))
})
type Settings = Static<typeof Settings>

/** All settings, validated, in the units that their names state. */
export type Config = Readonly<ReturnType<typeof readConfig>>

/**
 * Reads the settings. An empty or blank variable counts as unset.
 * @throws {ConfigError} with the name of the first invalid setting.
 */
export function readConfig (env: NodeJS.ProcessEnv = process.env) {
  const settings = checkedSettings(env)
  const policy = passwordPolicy(settings)
  return {
    host: settings.HOST,
    port: settings.PORT,
    dataDir: resolve(settings.DATA_DIR),
    storageUrl: settings.STORAGE_URL === undefined ? undefined : storageUrl(settings.STORAGE_URL),
    blobGraceSeconds: settings.BLOB_GRACE_SECONDS,
    databaseUrl: databaseUrl(settings.DATABASE_URL),
    downloadRedirectSeconds: settings.DOWNLOAD_REDIRECT_SECONDS,
    publicUrl: settings.PUBLIC_URL === undefined ? undefined : publicUrl(settings.PUBLIC_URL),
    tokenSeconds: settings.TOKEN_SECONDS,
    signingKeys: keyRing('SIGNING_KEYS', settings),
    sealingKeys: keyRing('SEALING_KEYS', settings),
    maxFileBytes: settings.MAX_FILE_BYTES,
    uploadExpiryHours: settings.UPLOAD_EXPIRY_HOURS,
    backupHours: settings.BACKUP_HOURS,
    eventMilliseconds: settings.EVENT_DAYS * 24 * 3600_000,
    eventLog: settings.EVENT_LOG === undefined ? undefined : resolve(settings.EVENT_LOG),
    keeping: { milliseconds: settings.KEEP_DAYS * 24 * 3600_000, versions: settings.KEEP_VERSIONS },
    quotaBytes: settings.QUOTA_BYTES,
    quotaFiles: settings.QUOTA_FILES,
    allowedExtensions: settings.ALLOWED_EXTENSIONS?.split(',')
      .map(text => text.trim().replace(/^\./, '').normalize('NFC').toLowerCase()),
    minFreeBytes: settings.MIN_FREE_BYTES,
    passwordPolicy: policy.name,
    passwordPolicyReason: policy.reason,
    registration: settings.REGISTRATION,
    secondFactor: settings.SECOND_FACTOR,
    hasLinks: settings.LINKS === 'on',
    linkMaxDays: settings.LINK_MAX_DAYS,
    hasWebPage: settings.WEB_PAGE === 'on',
    trustProxy: settings.TRUST_PROXY?.split(',').map(text => proxyRange(text.trim())),
    corsOrigins: settings.CORS_ORIGINS?.split(',').map(corsOrigin),
    tls: tlsFiles(settings),
    rateLimitPerMinute: settings.RATE_LIMIT_PER_MINUTE,
    signInFailures: settings.SIGN_IN_FAILURES,
    registrationsPerHour: settings.REGISTRATIONS_PER_HOUR,
    idleSeconds: settings.IDLE_SECONDS,
    maxEventLoopDelayMilliseconds: settings.MAX_EVENT_LOOP_DELAY_MS,
    maxMemoryBytes: settings.MAX_MEMORY_BYTES,
    metricsHost: settings.METRICS_HOST,
    metricsPort: metricsPort(settings),
    logLevel: settings.LOG_LEVEL
  }
}

/** Variables of the environment that are not settings, but nearly so. */
export function mistypedSettings (env: NodeJS.ProcessEnv = process.env): MistypedName[] {
  return findMistypedNames(Object.keys(env), settingRows().map(({ name }) => name))
}

/** Whether `npm start` or `npx` started this process. npm puts the name of the script into the environment. */
export function isStartedByNpm (env: NodeJS.ProcessEnv = process.env): boolean {
  return ['start', 'npx'].includes(String(env.npm_lifecycle_event))
}

/** The folder of package.json. It is the parent of `src`, `build` and `dist`, one of which contains this file. */
export const packageFolder = fileURLToPath(new URL('..', import.meta.url))

/** The version in package.json. */
export function readVersion (): string {
  return (JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as { version: string }).version
}

/** The rows of `--help` and of the README's table: name, default as text, description. */
export function settingRows (): { name: string, fallback: string, description: string }[] {
  return Object.entries<TSchema>(Settings.properties)
    .filter(([name]) => name !== 'NODE_ENV')
    .map(([name, { default: value = 'none', isByteSize, description }]) => ({
      name,
      fallback: isByteSize === true && value !== 'none' ? byteSizeText(value) : String(value),
      description: String(description)
    }))
}

function checkedSettings (env: NodeJS.ProcessEnv): Settings {
  const settings = Object.fromEntries(Object.entries<TSchema>(Settings.properties).flatMap(([name, schema]) => {
    const text = env[name] ?? ''
    const value = text.trim() === '' ? schema.default : valueOf(text, schema)
    return value === undefined ? [] : [[name, value]]
  }))
  const first = Errors(Settings, settings).First()
  if (first !== undefined) throw new ConfigError(explain(first))
  return settings as Settings
}

/** Text that is not a whole number or a size stays text, which the schema of a number then refuses. */
function valueOf (text: string, { type, isByteSize }: TSchema): string | number {
  if (isByteSize === true) return parseByteSize(text) ?? text
  return type === 'integer' && /^\s*-?\d+\s*$/.test(text) ? Number(text) : text
}

function explain ({ path, schema, value }: ValueError): string {
  return `${path.slice(1)}: expected ${expectationOf(schema)}, not ${JSON.stringify(value)}`
}

function expectationOf ({ anyOf, expected, isByteSize, minimum, maximum }: TSchema): string {
  if (anyOf !== undefined) return `one of ${(anyOf as { const: string }[]).map(choice => choice.const).join(', ')}`
  if (expected !== undefined) return `${expected}, separated by commas`
  return isByteSize === true
    ? 'bytes as a whole number, or a size such as 64 MiB or 10G'
    : `a whole number from ${minimum} to ${maximum}`
}

function keyRing (name: 'SIGNING_KEYS' | 'SEALING_KEYS', settings: Settings): SigningKey[] | undefined {
  const items = settings[name]?.split(',').map((text, index) => ({ text, place: `${name}, key ${index + 1}` }))
  return items && parseSigningKeys(items)
}

function storageUrl (text: string): StorageUrl {
  // Later versions of the AWS SDK need Node 22. This one does not, and its warning would only puzzle the operator.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
  return parseStorageUrl(text)
}

/** Undefined for SQLite. The error omits the value, which contains a password. */
function databaseUrl (text: string): string | undefined {
  const url = text.trim()
  if (url === 'sqlite:') return undefined
  const raw = rawCharacterOf(url)
  if (raw !== undefined) {
    const reason = `DATABASE_URL: the user or the password contains ${raw}`
    throw new ConfigError(reason, { remedy: `write it as ${encodeURIComponent(raw)}` })
  }
  if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return url
  throw new ConfigError('DATABASE_URL: expected an address such as postgres://user:password@host:5432/database')
}

/**
 * The `/`, `?` or `#` in the user or password of an address, which would end them. What follows it has then the `@`,
 * and what precedes it seldom is a host and a port.
 */
function rawCharacterOf (url: string): string | undefined {
  const [, rest = ''] = /^postgres(?:ql)?:\/\/[^/?#]*([^]*)$/.exec(url) ?? []
  return rest.includes('@') && (/^[#/][^?]*@/.test(rest) || !URL.canParse(url)) ? rest[0] : undefined
}

/**
 * The URL as it is used in headers: ASCII only, without a trailing slash. The error omits the value, which may contain
 * a password.
 */
function publicUrl (text: string): string {
  const url = HTTP_URL.test(text) && text.length <= MAX_PUBLIC_URL_LENGTH && URL.canParse(text)
    ? new URL(text)
    : undefined
  if (url === undefined || url.username !== '' || url.password !== '' || !PLAIN_PATH.test(url.pathname)) {
    const expected = 'an address such as https://files.example.org, without a password, a query or quotes'
    throw new ConfigError(`PUBLIC_URL: expected ${expected}`)
  }
  return url.origin + url.pathname.replace(/\/+$/, '')
}

/**
 * The origin as browsers send it: in lower case, ASCII only, without a default port. The error omits the value, which
 * may contain a password.
 */
function corsOrigin (text: string): string {
  const url = HTTP_URL.test(text) && !text.endsWith('/') && URL.canParse(text) ? new URL(text) : undefined
  // The href of an address with a user, a password or a path is longer.
  if (url !== undefined && url.href === `${url.origin}/`) return url.origin
  const expected = 'origins such as https://app.example.org, separated by commas, without a password, a path or a query'
  throw new ConfigError(`CORS_ORIGINS: expected ${expected}`)
}

/** An address, or a CIDR range with a prefix of 1 bit or more. */
function proxyRange (text: string): string {
  const [address = '', bits = '1'] = text.split('/')
  const family = isIP(address)
  if (family === 0 || Number(bits) < 1 || Number(bits) > (family === 4 ? 32 : 128)) {
    throw new ConfigError(`TRUST_PROXY: expected ${PROXIES}, not ${JSON.stringify(text)}`)
  }
  return text
}

function metricsPort ({ HOST, PORT, METRICS_HOST, METRICS_PORT }: Settings): number | undefined {
  const isSameHost = HOST === METRICS_HOST || [HOST, METRICS_HOST].some(host => ['0.0.0.0', '::'].includes(host))
  if (METRICS_PORT === PORT && PORT !== 0 && isSameHost) {
    throw new ConfigError('METRICS_PORT: PORT is the same; set one of them to another port')
  }
  return METRICS_PORT
}

function tlsFiles ({ TLS_CERT: cert, TLS_KEY: key }: Settings): { cert: string, key: string } | undefined {
  if (cert !== undefined && key !== undefined) return { cert: resolve(cert), key: resolve(key) }
  if (cert !== undefined) throw new ConfigError('TLS_KEY must be set if TLS_CERT is')
  if (key !== undefined) throw new ConfigError('TLS_CERT must be set if TLS_KEY is')
  return undefined
}

function passwordPolicy (settings: Settings): { name: 'open' | 'strict', reason: string } {
  const { PASSWORD_POLICY: name } = settings
  if (name !== undefined) return { name, reason: 'PASSWORD_POLICY is set' }
  if (settings.NODE_ENV === 'production') return { name: 'strict', reason: 'NODE_ENV is production' }
  if (settings.TRUST_PROXY !== undefined) return { name: 'strict', reason: 'TRUST_PROXY is set' }
  if (!isLoopback(settings.HOST)) return { name: 'strict', reason: `other machines can reach HOST ${settings.HOST}` }
  return { name: 'open', reason: 'only this machine can reach the server' }
}

/** True for `localhost`, 127.0.0.0/8, ::1 and IPv4-mapped loopback addresses. */
export function isLoopback (host: string): boolean {
  const address = host.toLowerCase().replace(/^::ffff:/, '')
  return address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'))
}

const UNITS = new Map([
  ['', 1], ['B', 1],
  ...['K', 'M', 'G', 'T'].flatMap((letter, index): [string, number][] => [
    [letter, 1024 ** (index + 1)], [`${letter}IB`, 1024 ** (index + 1)], [`${letter}B`, 1000 ** (index + 1)]
  ])
])

/** Units that a size is written in, the largest first; without one it is bytes. */
const WRITTEN = ['TiB', 'GiB', 'MiB', 'KiB', '']

/**
 * Reads a size such as `1000`, `64 MiB` or `1.5g` as bytes: K, M, G and T, also with iB, are powers of 1024; with B
 * alone they are powers of 1000. Undefined for anything else, and if the result is not a whole number of bytes that is
 * a safe integer.
 */
export function parseByteSize (text: string): number | undefined {
  const [, digits, unit = ''] = /^\s*(\d+(?:\.\d+)?) ?([a-z]*)\s*$/i.exec(text) ?? []
  const bytes = Number(digits) * Number(UNITS.get(unit.toUpperCase()))
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Writes a size in the largest unit of which it is a whole number or a half. */
function byteSizeText (bytes: number): string {
  const inUnit = (unit: string) => bytes / Number(UNITS.get(unit.toUpperCase()))
  const unit = String(WRITTEN.find(name => 2 * inUnit(name) % 1 === 0))
  return `${inUnit(unit)} ${unit}`.trim()
}
