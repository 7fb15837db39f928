import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { Errors, type ValueError } from '@sinclair/typebox/errors'
import { readIdentityProvider, type IdentityProvider } from './config/identity-provider.ts'
import { isLoopback } from './config/loopback.ts'
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

const Text = (description: string, fallback?: string) => Type.String({ description, default: fallback })

/** Comma-separated items that match a pattern; `expected` describes them in error messages. */
const List = (description: string, { item, expected }: { item: string, expected: string }) =>
  ({ ...Text(description), pattern: `^${item}(?:,${item})*$`, expected })

/** One of several words. */
const OneOf = <const Word extends string>(description: string, words: Word[], fallback?: Word) =>
  Type.Union(words.map(word => Type.Literal(word)), { description, default: fallback })

const Whole = (description: string, [minimum, maximum]: [number, number], fallback?: number) =>
  Type.Integer({ minimum, maximum, description, default: fallback })

/** A number of bytes; the operator can add a unit. */
const Bytes = (description: string, fallback?: number) =>
  ({ ...Whole(description, [0, Number.MAX_SAFE_INTEGER], fallback), isByteSize: true })

/**
 * Every setting, by the name of its environment variable. Validation, `--help` and the README's table are made from it.
 */
export const Settings = Type.Object({
  HOST: Text('Address to listen on.', '127.0.0.1'),
  PORT: Whole('Port to listen on; 0 picks a free one.', [0, 65535], 5000),
  DATA_DIR: Text(
    'Folder for files, database and keys, unless DATABASE_URL or STORAGE_URL is set; created with mode 0700.',
    './data'
  ),
  DATABASE_URL: Text(
    'SQLite in DATA_DIR, or PostgreSQL 15 or newer, such as ' +
      'postgres://user:password@host/database?sslmode=verify-full.',
    'sqlite:'
  ),
  STORAGE_URL: Type.Optional(Text(
    'S3-compatible bucket for the bytes of files: ' +
      's3://bucket/prefix?endpoint=https://s3.example.org&region=eu-central-1. Credentials as for the AWS SDK.'
  )),
  BLOB_GRACE_SECONDS: Whole('How long a bucket keeps deleted bytes, for downloads in progress.', [0, 2_592_000], 3600),
  DOWNLOAD_REDIRECT_SECONDS: Whole(
    'Downloads over 5 MiB redirect to a bucket URL that is valid this long (at most BLOB_GRACE_SECONDS); 0: never.',
    [0, 86400], 0
  ),
  PUBLIC_URL: Type.Optional(Text('Public address, for links and passkeys, such as https://files.example.org.')),
  TOKEN_SECONDS: Whole('Lifetime of an access token.', [1, 86400], 600),
  SIGNING_KEYS: Type.Optional(Text(
    'Access token keys as kid:secret, comma-separated: the first signs, all verify. ' +
      'Secrets need 32 bytes. Unset, one is made beside the database.'
  )),
  SEALING_KEYS: Type.Optional(Text('The same for keys that encrypt secrets of one-time codes and links.')),
  MAX_FILE_BYTES: Bytes('Largest file.', 5 * GIB),
  UPLOAD_EXPIRY_HOURS: Whole('How long an unfinished upload waits for more bytes.', [1, 8760], 24),
  KEEP_DAYS: Whole('Days to keep versions and deleted files; 0: none.', [0, 36_500], 30),
  KEEP_VERSIONS: Whole('Versions kept of one file.', [0, 1000], 10),
  QUOTA_BYTES: Type.Optional(Bytes('Bytes per account; `magicstore user quota` overrides it.')),
  QUOTA_FILES: Type.Optional(Whole(
    'Files and folders per account; `magicstore user quota` overrides it.',
    [0, Number.MAX_SAFE_INTEGER]
  )),
  ALLOWED_EXTENSIONS: Type.Optional(List('Allowed file name extensions, comma-separated, case-insensitive.', {
    item: ' *\\.?[^\\s./\\\\,]+ *', expected: 'extensions such as pdf,jpg'
  })),
  MIN_FREE_BYTES: Bytes('Free disk space that uploads must leave.', 64 * MIB),
  PASSWORD_POLICY: Type.Optional(OneOf(
    '`strict` requires 8 characters and rejects common passwords and the username. ' +
      'Unset: `strict` if NODE_ENV is production, HOST is not loopback or TRUST_PROXY is set.',
    ['open', 'strict']
  )),
  REGISTRATION: Type.Optional(OneOf(
    '`oidc`: only identities of OIDC_ALLOW register; `closed`: nobody. Unset: `oidc` with OIDC_ISSUER, else `open`.',
    ['open', 'oidc', 'closed']
  )),
  OIDC_ISSUER: Type.Optional(Text('Identity provider, such as https://id.example.org/realms/main.')),
  OIDC_CLIENT_ID: Type.Optional(Text('Client that the provider knows this server as.')),
  OIDC_CLIENT_SECRET: Type.Optional(Text('Secret of that client. Unset: a public client.')),
  OIDC_ALLOW: Type.Optional(Text(
    'Who may sign in: `anyone`, or claims of which one must match, such as groups=staff,email=mum@example.org.'
  )),
  OIDC_NAME: Type.Optional(Text('Name of the provider on the page. Unset: its host.')),
  OIDC_SESSION_HOURS: Whole('Lifetime of a session that the provider began.', [1, 720], 24),
  OIDC_TOKEN_DAYS: Whole(
    'Without a password, tokens of an account work this long after its last sign-in.', [1, 365], 30
  ),
  SECOND_FACTOR: OneOf(
    '`required`: without one, a password can only set one up.',
    ['optional', 'required'], 'optional'
  ),
  LINKS: OneOf('`on` lets owners share files and folders by links.', ['on', 'off'], 'off'),
  LINK_MAX_DAYS: Whole('Longest and default lifetime of a link in days; 0: no limit.', [0, 36_500], 30),
  WEB_PAGE: OneOf('`off` removes the page for browsers.', ['on', 'off'], 'on'),
  TRUST_PROXY: Type.Optional(List(
    'Proxies whose forwarding headers count: addresses or CIDR ranges, comma-separated.',
    { item: ' *[0-9A-Fa-f.:]+(?:/[0-9]{1,3})? *', expected: PROXIES }
  )),
  CORS_ORIGINS: Type.Optional(Text(
    'Origins whose pages may call the API, such as https://app.example.org, comma-separated.'
  )),
  TLS_CERT: Type.Optional(Text('Certificate chain file (PEM); enables HTTPS with HTTP/2 and 1.1. Reloaded on SIGHUP.')),
  TLS_KEY: Type.Optional(Text('Private key file (PEM) for TLS_CERT.')),
  RATE_LIMIT_PER_MINUTE: Whole('Requests per minute from one client address; 0: no limit.', [0, 1_000_000_000], 6000),
  SIGN_IN_FAILURES: Whole(
    'Failed sign-ins allowed in 15 minutes per account and network; ten times as many per network.',
    [1, 1_000_000], 10
  ),
  REGISTRATIONS_PER_HOUR: Whole('Registrations per hour from one network; 0: no limit.', [0, 1_000_000], 100),
  IDLE_SECONDS: Whole(
    'A transfer is cut after this many seconds without a byte; a stalled download within twice as many.',
    [1, 86400], 60
  ),
  MAX_EVENT_LOOP_DELAY_MS: Whole(
    'Event loop delay, averaged over two seconds, above which new requests get 503; 0: no limit.',
    [0, 3_600_000], 1000
  ),
  MAX_MEMORY_BYTES: Bytes(
    'Memory above which new requests get 503 while more than 16 are in progress; 0: no limit.', 1.5 * GIB
  ),
  METRICS_HOST: Text('Address of the metrics, which need no credentials.', '127.0.0.1'),
  METRICS_PORT: Type.Optional(Whole('Port of Prometheus metrics, at /metrics. Unset: none.', [0, 65535])),
  BACKUP_HOURS: Type.Optional(Whole('Hours until `/health/ready` calls the latest backup late.', [1, 8760])),
  EVENT_DAYS: Whole('Days to keep security events.', [1, 36_500], 90),
  EVENT_LOG: Type.Optional(Text('File that also gets each security event, as a line of JSON.')),
  LOG_LEVEL: OneOf('Lowest level to log.', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info'),
  NODE_ENV: Type.Optional(Text('`production` makes the strict password policy the default.'))
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
  const registration = registrationPolicy(settings)
  const url = settings.PUBLIC_URL === undefined ? undefined : publicUrl(settings.PUBLIC_URL)
  return {
    host: settings.HOST,
    port: settings.PORT,
    dataDir: resolve(settings.DATA_DIR),
    storageUrl: settings.STORAGE_URL === undefined ? undefined : storageUrl(settings.STORAGE_URL),
    blobGraceSeconds: settings.BLOB_GRACE_SECONDS,
    databaseUrl: databaseUrl(settings.DATABASE_URL),
    downloadRedirectSeconds: settings.DOWNLOAD_REDIRECT_SECONDS,
    publicUrl: url,
    tokenSeconds: settings.TOKEN_SECONDS,
    signingKeys: keyRing('SIGNING_KEYS', settings),
    sealingKeys: keyRing('SEALING_KEYS', settings),
    maxFileBytes: settings.MAX_FILE_BYTES,
    uploadExpiryHours: settings.UPLOAD_EXPIRY_HOURS,
    backupHours: settings.BACKUP_HOURS,
    eventMilliseconds: settings.EVENT_DAYS * 24 * 3600_000,
    eventLog: settings.EVENT_LOG === undefined ? undefined : resolve(settings.EVENT_LOG),
    retentionPolicy: { milliseconds: settings.KEEP_DAYS * 24 * 3600_000, versions: settings.KEEP_VERSIONS },
    quotaBytes: settings.QUOTA_BYTES,
    quotaFiles: settings.QUOTA_FILES,
    allowedExtensions: settings.ALLOWED_EXTENSIONS?.split(',')
      .map(text => text.trim().replace(/^\./, '').normalize('NFC').toLowerCase()),
    minFreeBytes: settings.MIN_FREE_BYTES,
    passwordPolicy: policy.name,
    passwordPolicyReason: policy.reason,
    registration: registration.name,
    registrationReason: registration.reason,
    identityProvider: identityProvider(settings, env, { publicUrl: url, registration: registration.name }),
    oidcSessionSeconds: settings.OIDC_SESSION_HOURS * 3600,
    oidcTokenMilliseconds: settings.OIDC_TOKEN_DAYS * 24 * 3600_000,
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

/** What `magicstore sync` takes from the environment: a token, and where the states of folders are. */
export function readSyncSettings (
  env: NodeJS.ProcessEnv = process.env
): { token?: string, stateFolder: string, tokenFolder: string } {
  const stateHome = env.XDG_STATE_HOME ?? env.LOCALAPPDATA ?? join(homedir(), '.local/state')
  const token = env.MAGICSTORE_TOKEN?.trim() ?? ''
  return {
    ...token !== '' && { token },
    stateFolder: join(stateHome, 'magicstore/sync'),
    tokenFolder: join(stateHome, 'magicstore/tokens')
  }
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
  const url = text.length <= MAX_PUBLIC_URL_LENGTH ? httpUrl(text) : undefined
  if (url?.username === '' && url.password === '' && PLAIN_PATH.test(url.pathname)) {
    return url.origin + url.pathname.replace(/\/+$/, '')
  }
  const expected = 'an address such as https://files.example.org, without a password, a query or quotes'
  throw new ConfigError(`PUBLIC_URL: expected ${expected}`)
}

function httpUrl (text: string): URL | undefined {
  return HTTP_URL.test(text) && URL.canParse(text) ? new URL(text) : undefined
}

/**
 * The origin as browsers send it: in lower case, ASCII only, without a default port. The error omits the value, which
 * may contain a password.
 */
function corsOrigin (text: string): string {
  const url = text.endsWith('/') ? undefined : httpUrl(text)
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

function registrationPolicy (
  { REGISTRATION: name, OIDC_ISSUER: issuer }: Settings
): { name: 'open' | 'oidc' | 'closed', reason: string } {
  if (name !== undefined) return { name, reason: 'REGISTRATION is set' }
  return issuer === undefined
    ? { name: 'open', reason: 'OIDC_ISSUER is not set' }
    : { name: 'oidc', reason: 'OIDC_ISSUER is set' }
}

function identityProvider (
  { OIDC_ISSUER, ...settings }: Settings,
  env: NodeJS.ProcessEnv,
  context: Parameters<typeof readIdentityProvider>[1]
): IdentityProvider | undefined {
  if (OIDC_ISSUER !== undefined) return readIdentityProvider({ ...settings, OIDC_ISSUER }, context)
  const names = Object.keys(Settings.properties).filter(name => name.startsWith('OIDC_') && env[name]?.trim())
  const dependent = context.registration === 'oidc' ? 'REGISTRATION is oidc' : names[0] && `${names[0]} is`
  if (dependent !== undefined) throw new ConfigError(`OIDC_ISSUER must be set if ${dependent}`)
  return undefined
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
