import { test } from 'tap'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { readConfig, readSyncSettings, settingRows, type Config } from '#src/config.ts'
import { isLoopback } from '#src/config/loopback.ts'
import { ConfigError } from '#src/problems.ts'
import { runCommand } from './kit/commands.ts'
import { DAY } from './kit/durations.ts'
import { sharedServer, type Settings } from './kit/server.ts'
import { GIB, MIB } from './kit/sizes.ts'

const secret = 'vH2mQ8xN4rT6bJ1kZ0wY5sD7gF3aL9pE'

/** For every setting: its default, a parsed example, and invalid values. */
const table: { name: string, field: keyof Config, unset: unknown, set: [string, unknown][], wrong: string[] }[] = [
  { name: 'HOST', field: 'host', unset: '127.0.0.1', set: [['::1', '::1'], ['files.example', 'files.example']], wrong: [] },
  { name: 'PORT', field: 'port', unset: 5000, set: [['0', 0], ['65535', 65535]], wrong: ['65536', '-1', 'http', '80.5', '+80', '0x50', '5000 and more', 'NaN'] },
  { name: 'DATA_DIR', field: 'dataDir', unset: resolve('data'), set: [['/srv/files', '/srv/files'], ['files', resolve('files')]], wrong: [] },
  {
    name: 'STORAGE_URL',
    field: 'storageUrl',
    unset: undefined,
    set: [
      ['s3://files', { bucket: 'files', prefix: '', endpoint: undefined, region: undefined, isPathStyle: false }],
      ['s3://my.files-1/', { bucket: 'my.files-1', prefix: '', endpoint: undefined, region: undefined, isPathStyle: false }],
      ['s3://files/a/b_1?endpoint=http://127.0.0.1:9000&region=eu-central-1', { bucket: 'files', prefix: 'a/b_1/', endpoint: 'http://127.0.0.1:9000', region: 'eu-central-1', isPathStyle: true }],
      ['s3://files/a/?endpoint=https%3A%2F%2Fs3.example.org%2F&pathStyle=false', { bucket: 'files', prefix: 'a/', endpoint: 'https://s3.example.org/', region: undefined, isPathStyle: false }]
    ],
    wrong: ['files', 'https://files', 's3://', 's3:///files', 's3://f', 's3://Files', 's3://files:80', 's3://key:secret@files', 's3://key@files', 's3://:secret@files', 's3://files#a', 's3://files/a//b', 's3://files/../a b', `s3://files/${'a'.repeat(512)}`, 's3://files?endpoint=s3.example.org', 's3://files?endpoint=https://key@s3.example.org', 's3://files?endpoint=https://s3.example.org/path', 's3://files?endpoint=https://x:99999', 's3://files?region=', 's3://files?region=a&region=b', 's3://files?secret=a', 's3://files?pathStyle=1']
  },
  { name: 'BLOB_GRACE_SECONDS', field: 'blobGraceSeconds', unset: 3600, set: [['0', 0], ['2592000', 2_592_000]], wrong: ['-1', '2592001', '1h'] },
  { name: 'DATABASE_URL', field: 'databaseUrl', unset: undefined, set: [['sqlite:', undefined], ['postgres://ann:secret@db.example:5432/files?sslmode=verify-full', 'postgres://ann:secret@db.example:5432/files?sslmode=verify-full'], [' postgresql:///files ', 'postgresql:///files']], wrong: ['mysql://db.example/files', 'db.example/files', 'postgres:db', 'postgres://db.example:port/files', '/var/lib/files.db'] },
  { name: 'DOWNLOAD_REDIRECT_SECONDS', field: 'downloadRedirectSeconds', unset: 0, set: [['600', 600]], wrong: ['-1', '86401', 'on'] },
  { name: 'PUBLIC_URL', field: 'publicUrl', unset: undefined, set: [['https://files.example', 'https://files.example'], ['http://files.example:81/store//', 'http://files.example:81/store'], ['https://例え.jp/é', 'https://xn--r8jz45g.jp/%C3%A9']], wrong: ['files.example', 'http://[bad', 'https://x:99999', 'https://a<b>', 'https://ann:secret@files.example', 'ftp://files.example', 'https://', 'https://files.example?a', 'https://files.example/#a', 'https://files example', 'https://files.example/it\'s', 'https://files.example/%', 'https://files.example/$(x)'] },
  { name: 'TOKEN_SECONDS', field: 'tokenSeconds', unset: 600, set: [['1', 1], ['86400', 86400]], wrong: ['0', '-5', '86401', 'ten', '1.5'] },
  { name: 'MAX_FILE_BYTES', field: 'maxFileBytes', unset: 5 * GIB, set: [['0', 0], ['9007199254740991', Number.MAX_SAFE_INTEGER], ['5GiB', 5 * GIB]], wrong: ['-1', '9007199254740993', '5e9', '1e300', '8192T'] },
  { name: 'UPLOAD_EXPIRY_HOURS', field: 'uploadExpiryHours', unset: 24, set: [['1', 1], ['8760', 8760]], wrong: ['0', '8761', '1d'] },
  { name: 'KEEP_DAYS', field: 'retentionPolicy', unset: { milliseconds: 30 * DAY, versions: 10 }, set: [['0', { milliseconds: 0, versions: 10 }], ['36500', { milliseconds: 36_500 * DAY, versions: 10 }]], wrong: ['-1', '36501', '1d', '0.5'] },
  { name: 'KEEP_VERSIONS', field: 'retentionPolicy', unset: { milliseconds: 30 * DAY, versions: 10 }, set: [['0', { milliseconds: 30 * DAY, versions: 0 }], ['1000', { milliseconds: 30 * DAY, versions: 1000 }]], wrong: ['-1', '1001', 'all'] },
  { name: 'QUOTA_BYTES', field: 'quotaBytes', unset: undefined, set: [['0', 0], ['1000', 1000], ['10G', 10 * GIB], [' 1.5 gb ', 1_500_000_000]], wrong: ['-1', 'none', '0.5', '0.1K', '1 X', 'G', '1.G', '10GiBB', '1,000'] },
  { name: 'QUOTA_FILES', field: 'quotaFiles', unset: undefined, set: [['0', 0], ['12', 12]], wrong: ['-1', 'unlimited', '1,000'] },
  { name: 'ALLOWED_EXTENSIONS', field: 'allowedExtensions', unset: undefined, set: [['pdf', ['pdf']], ['.PDF, Jpg ,tar', ['pdf', 'jpg', 'tar']], ['é', ['é']], ['E\u0301', ['é']]], wrong: [',', 'pdf,', 'tar.gz', 'a/b', '..'] },
  { name: 'MIN_FREE_BYTES', field: 'minFreeBytes', unset: 64 * MIB, set: [['0', 0], ['64 MiB', 64 * MIB]], wrong: ['-1', '64  MiB', '-1K'] },
  { name: 'PASSWORD_POLICY', field: 'passwordPolicy', unset: 'open', set: [['open', 'open'], ['strict', 'strict']], wrong: ['Strict', 'none'] },
  { name: 'REGISTRATION', field: 'registration', unset: 'open', set: [['open', 'open'], ['closed', 'closed']], wrong: ['no', 'CLOSED'] },
  { name: 'OIDC_ISSUER', field: 'identityProvider', unset: undefined, set: [], wrong: ['id.example.org', 'http://id.example.org', 'https://ann@id.example.org', 'https://:secret@id.example.org', 'https://id.example.org/?', 'https://id.example.org/#a', `https://id.example.org/${'a'.repeat(1024)}`, 'https://login.microsoftonline.com/Common/v2.0', 'https://login.microsoftonline.com/organizations/v2.0', 'https://login.microsoftonline.us/consumers/v2.0'] },
  ...['OIDC_CLIENT_ID', 'OIDC_CLIENT_SECRET', 'OIDC_ALLOW', 'OIDC_NAME'].map(name => ({ name, field: 'identityProvider' as const, unset: undefined, set: [], wrong: [] })),
  { name: 'OIDC_SESSION_HOURS', field: 'oidcSessionSeconds', unset: 24 * 3600, set: [], wrong: ['0', '721', 'a day'] },
  { name: 'OIDC_TOKEN_DAYS', field: 'oidcTokenMilliseconds', unset: 30 * DAY, set: [], wrong: ['0', '366', 'a month'] },
  { name: 'WEB_PAGE', field: 'hasWebPage', unset: true, set: [['on', true], ['off', false]], wrong: ['no', 'ON'] },
  { name: 'TRUST_PROXY', field: 'trustProxy', unset: undefined, set: [['10.0.0.1', ['10.0.0.1']], ['10.0.0.0/8, fd00::/8', ['10.0.0.0/8', 'fd00::/8']], ['::1/128,10.0.0.1/32', ['::1/128', '10.0.0.1/32']]], wrong: ['10.0.0.0/0', '999.1.1.1', 'abc', '1.2.3', '010.0.0.1', '10.0.0.0/33', '::1/129', 'true', 'proxy.example', '10.0.0.1;10.0.0.2', ','] },
  { name: 'CORS_ORIGINS', field: 'corsOrigins', unset: undefined, set: [['https://app.example', ['https://app.example']], ['https://app.example,http://localhost:8080', ['https://app.example', 'http://localhost:8080']], ['https://A.Example,https://münchen.de,https://a:443,http://[::1]:80', ['https://a.example', 'https://xn--mnchen-3ya.de', 'https://a', 'http://[::1]']]], wrong: ['*', 'app.example', 'https://app.example/', 'null', 'https://app.example,', 'https://u:pw@h', 'https://u@h', 'https://a:99999', 'https://a?x', 'https://a?', 'https://a#x', 'https://a\\b', 'https://a b', 'https://a,https://[bad'] },
  { name: 'TLS_CERT', field: 'tls', unset: undefined, set: [], wrong: [] },
  { name: 'TLS_KEY', field: 'tls', unset: undefined, set: [], wrong: [] },
  { name: 'RATE_LIMIT_PER_MINUTE', field: 'rateLimitPerMinute', unset: 6000, set: [['0', 0], ['1', 1]], wrong: ['-1', 'off', '1.5'] },
  { name: 'SIGN_IN_FAILURES', field: 'signInFailures', unset: 10, set: [['1', 1]], wrong: ['0', '-1', 'many'] },
  { name: 'REGISTRATIONS_PER_HOUR', field: 'registrationsPerHour', unset: 100, set: [['0', 0]], wrong: ['-1', 'none'] },
  { name: 'IDLE_SECONDS', field: 'idleSeconds', unset: 60, set: [['1', 1]], wrong: ['0', '86401', 'never'] },
  { name: 'MAX_EVENT_LOOP_DELAY_MS', field: 'maxEventLoopDelayMilliseconds', unset: 1000, set: [['0', 0], ['250', 250]], wrong: ['-1', '1s', '0.5'] },
  { name: 'MAX_MEMORY_BYTES', field: 'maxMemoryBytes', unset: 1.5 * GIB, set: [['0', 0], ['1000000', 1_000_000], ['1T', 1024 ** 4]], wrong: ['-1', '1 e'] },
  { name: 'METRICS_HOST', field: 'metricsHost', unset: '127.0.0.1', set: [['::1', '::1']], wrong: [] },
  { name: 'METRICS_PORT', field: 'metricsPort', unset: undefined, set: [['0', 0], ['9464', 9464]], wrong: ['65536', '-1', 'on'] },
  { name: 'BACKUP_HOURS', field: 'backupHours', unset: undefined, set: [['1', 1], ['8760', 8760]], wrong: ['0', '8761', 'daily'] },
  { name: 'EVENT_DAYS', field: 'eventMilliseconds', unset: 90 * DAY, set: [['1', DAY], ['36500', 36_500 * DAY]], wrong: ['0', '36501', 'never'] },
  { name: 'EVENT_LOG', field: 'eventLog', unset: undefined, set: [['/var/log/events.json', '/var/log/events.json']], wrong: [] },
  { name: 'LOG_LEVEL', field: 'logLevel', unset: 'info', set: [['silent', 'silent'], ['trace', 'trace']], wrong: ['verbose', 'INFO'] },
  { name: 'LINKS', field: 'hasLinks', unset: false, set: [['on', true], ['off', false]], wrong: ['yes', 'ON', '1'] },
  { name: 'LINK_MAX_DAYS', field: 'linkMaxDays', unset: 30, set: [['0', 0], ['36500', 36_500]], wrong: ['-1', '36501', '1.5', '30d', 'none'] },
  { name: 'SECOND_FACTOR', field: 'secondFactor', unset: 'optional', set: [['required', 'required'], ['optional', 'optional']], wrong: ['yes', 'REQUIRED'] },
  { name: 'SEALING_KEYS', field: 'sealingKeys', unset: undefined, set: [[`a:${secret},b:${secret}`, [{ kid: 'a', secret }, { kid: 'b', secret }]]], wrong: [secret, `a:${secret},`, 'a:short'] },
  { name: 'SIGNING_KEYS', field: 'signingKeys', unset: undefined, set: [[`a:${secret}`, [{ kid: 'a', secret }]], [`a-1:${secret},b_2:${secret}:with:colons`, [{ kid: 'a-1', secret }, { kid: 'b_2', secret: `${secret}:with:colons` }]], ['a:àéîõüçñÿ🗝🔑🔒🔓', [{ kid: 'a', secret: 'àéîõüçñÿ🗝🔑🔒🔓' }]]], wrong: ['', secret, `:${secret}`, `a b:${secret}`, `${'k'.repeat(33)}:${secret}`, `a:${secret},`].filter(text => text !== '') }
]

for (const { name, field, unset, set, wrong } of table) {
  test(`${name} has its default when it is unset, empty or blank, and otherwise its own value or a refusal that names it`, async t => {
    for (const env of [{}, { [name]: '' }, { [name]: '  ' }]) t.same(readConfig(env)[field], unset, JSON.stringify(env))
    for (const [text, value] of set) t.same(readConfig({ [name]: text })[field], value, text)
    for (const text of wrong) {
      const message = refusalOf({ [name]: text })
      t.match(message, new RegExp(`^${name}\\b`), text)
      t.notMatch(message, '\n')
    }
  })
}

test('a size takes each unit, in any case: those of a letter and with iB are powers of 1024, those with B of 1000', async t => {
  for (const [index, letter] of ['K', 'M', 'G', 'T'].entries()) {
    for (const unit of [letter, `${letter}iB`, letter.toLowerCase(), `${letter}IB`]) t.equal(readConfig({ QUOTA_BYTES: `3${unit}` }).quotaBytes, 3 * 1024 ** (index + 1), unit)
    t.equal(readConfig({ QUOTA_BYTES: `3 ${letter}B` }).quotaBytes, 3 * 1000 ** (index + 1))
  }
  t.equal(readConfig({ QUOTA_BYTES: '3 B' }).quotaBytes, 3)
})

test('a wrong setting is told in words, and one of several at a time', async t => {
  for (const [settings, words] of [
    [{ PORT: 'x', TOKEN_SECONDS: 'y' }, 'PORT: expected a whole number from 0 to 65535, not "x"'],
    [{ PORT: '70000' }, 'PORT: expected a whole number from 0 to 65535, not 70000'],
    [{ QUOTA_BYTES: '10 apples' }, 'QUOTA_BYTES: expected bytes as a whole number, or a size such as 64 MiB or 10G, not "10 apples"'],
    [{ REGISTRATION: 'maybe' }, 'REGISTRATION: expected one of open, oidc, closed, not "maybe"'],
    [{ ALLOWED_EXTENSIONS: 'a/b' }, 'ALLOWED_EXTENSIONS: expected extensions such as pdf,jpg, separated by commas, not "a/b"'],
    [{ TRUST_PROXY: 'the\nproxy' }, 'TRUST_PROXY: expected addresses such as 10.0.0.1, or ranges such as 10.0.0.0/8, separated by commas, not "the\\nproxy"'],
    [{ TRUST_PROXY: '10.0.0.0/0' }, 'TRUST_PROXY: expected addresses such as 10.0.0.1, or ranges such as 10.0.0.0/8, not "10.0.0.0/0"'],
    [{ STORAGE_URL: 's3://key:secret@files' }, 'STORAGE_URL: expected s3://bucket/prefix?endpoint=https://s3.example.org&region=eu-central-1, without credentials'],
    [{ CORS_ORIGINS: 'https://app.example,https://ann:secret@app.example/' }, 'CORS_ORIGINS: expected origins such as https://app.example.org, separated by commas, without a password, a path or a query'],
    [{ PUBLIC_URL: 'https://ann:secret@files.example' }, 'PUBLIC_URL: expected an address such as https://files.example.org, without a password, a query or quotes'],
    [{ PUBLIC_URL: `https://files.example/${'a'.repeat(2048)}` }, 'PUBLIC_URL: expected an address such as https://files.example.org, without a password, a query or quotes']
  ] as const) t.equal(refusalOf(settings), words)
})

test('the table above knows every setting that --help lists', async t => {
  const known = new Set(table.map(row => row.name))
  t.same(settingRows().map(row => row.name).filter(name => !known.has(name)), [])
  t.same(readConfig({ PROT: '80', port: '80', __proto__: '1', constructor: 'x' } as Settings), readConfig({}), 'others change nothing')
})

test('a signing key that can\'t be used is refused and named by its position, without being shown', async t => {
  for (const [why, keys, position = 1] of [
    ['too short by one byte', `a:${secret.slice(1)}`],
    ['known from the documentation of jwt.io', 'a:a-string-secret-at-least-256-bits-long'],
    ['a well-known one in capitals', 'a:YOUR-SUPER-SECRET-JWT-TOKEN-WITH-AT-LEAST-32-CHARACTERS-LONG'],
    ['one letter over and over', `a:${'x'.repeat(64)}`],
    ['seven letters over and over', `a:${'abcdefg'.repeat(8)}`],
    ['a good first key and a weak second', `a:${secret},b:short-and-secret`, 2],
    ['two keys of one name', `a:${secret},b:${secret}2,a:${secret}3`, 0],
    ['no name', secret],
    ['a name with a space', `the key:${secret}`],
    ['a second item without a colon', `a:${secret},${secret.toLowerCase()}`, 2]
  ] as const) {
    const message = refusalOf({ SIGNING_KEYS: keys })
    t.match(message, position === 0 ? /^SIGNING_KEYS/ : new RegExp(`^SIGNING_KEYS, key ${position}: `), why)
    for (const item of keys.split(',')) t.notOk(message.includes(item.slice(item.indexOf(':') + 1)), why)
  }
})

test('the certificate and its key are set together, or one line names the one that is missing', async t => {
  t.same(readConfig({ TLS_CERT: 'a.crt', TLS_KEY: '/b.key' }).tls, { cert: resolve('a.crt'), key: '/b.key' })
  t.match(refusalOf({ TLS_CERT: 'a.crt' }), /^TLS_KEY\b.*TLS_CERT/)
  t.match(refusalOf({ TLS_KEY: 'a.key', TLS_CERT: ' ' }), /^TLS_CERT\b.*TLS_KEY/)
})

test('the password policy follows from how the server is reached, or from its own setting, and says why', async t => {
  for (const [env, policy, because] of [
    [{}, 'open', /only this machine/],
    [{ HOST: '::1' }, 'open', /only this machine/],
    [{ NODE_ENV: 'development' }, 'open', /only this machine/],
    [{ NODE_ENV: 'production' }, 'strict', /NODE_ENV/],
    [{ HOST: '0.0.0.0' }, 'strict', /HOST 0\.0\.0\.0/],
    [{ TRUST_PROXY: '127.0.0.1' }, 'strict', /TRUST_PROXY/],
    [{ PASSWORD_POLICY: 'open', NODE_ENV: 'production', HOST: '0.0.0.0', TRUST_PROXY: '127.0.0.1' }, 'open', /PASSWORD_POLICY/],
    [{ PASSWORD_POLICY: 'strict' }, 'strict', /PASSWORD_POLICY/]
  ] as const) {
    const { passwordPolicy, passwordPolicyReason } = readConfig(env as Settings)
    t.equal(passwordPolicy, policy, JSON.stringify(env))
    t.match(passwordPolicyReason, because)
  }
})

test('loopback is what only this machine can reach, in every spelling of it', async t => {
  for (const host of ['localhost', 'LocalHost', '127.0.0.1', '127.8.9.10', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::FFFF:127.1.2.3']) t.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '128.0.0.1', '10.0.0.1', '127', '127.example', '192.0.2.1', '127.0.0.1.example.org', 'localhost.example.org', '::ffff:10.0.0.1', '::2', '']) t.notOk(isLoopback(host), host)
})

test('the policy that is in force is the one that registration keeps to', async t => {
  for (const [settings, expected] of [
    [{ TRUST_PROXY: '127.0.0.1' }, { status: 400, json: { code: 'password_invalid' } }],
    [{ TRUST_PROXY: '127.0.0.1', PASSWORD_POLICY: 'open' }, { status: 201 }]
  ] as const) {
    t.match(await (await sharedServer(settings)).send('POST', '/api/users', { json: { username: 'ada', password: 'pwd' } }), expected)
  }
})

test('magicstore serve with a wrong setting says so in one line, without its secrets, and exits with 2', async t => {
  for (const [name, value] of [
    ['PORT', 'eighty'],
    ['SIGNING_KEYS', `a:${secret},b:a-secret-nobody-may-see`],
    ['CORS_ORIGINS', 'https://ann:nobody-may-see@app.example'],
    ['DATABASE_URL', 'mysql://ann:nobody-may-see@db.example/files'],
    ['DATABASE_URL', 'postgres://ann:nobody-may-see@db.example/files?sslmode=verify-full&sslrootcert=/nowhere.pem']
  ] as const) {
    const { code, stdout, stderr } = await runCommand(['serve'], { DATA_DIR: t.testdir(), [name]: value })
    t.same([code, stdout], [2, ''], name)
    t.match(stderr, new RegExp(`^magicstore: ${name}\\b[^\\n]*\\n$`))
    t.notOk(stderr.includes(secret) || stderr.includes('nobody-may-see'), name)
  }
})

function refusalOf (env: Settings): string {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'nothing was refused'
}

const identityProvider = {
  OIDC_ISSUER: 'https://id.example.org/realms/main', OIDC_CLIENT_ID: 'magicstore', OIDC_ALLOW: 'anyone', PUBLIC_URL: 'https://files.example.org/store'
}

test('an identity provider is read with who may sign in, its name and the address to return to', async t => {
  const { identityProvider: read, registration, registrationReason, ...config } = readConfig(identityProvider)
  t.same(read, {
    issuer: 'https://id.example.org/realms/main', clientId: 'magicstore', clientSecret: undefined, allowed: 'anyone', name: 'id.example.org', redirectUri: 'https://files.example.org/store/oidc/callback'
  })
  t.same([registration, registrationReason, config.oidcSessionSeconds, config.oidcTokenMilliseconds], ['oidc', 'OIDC_ISSUER is set', 24 * 3600, 30 * DAY])
  const other = readConfig({
    ...identityProvider, OIDC_ISSUER: 'http://[::1]:8080', PUBLIC_URL: 'http://localhost:5000', OIDC_CLIENT_SECRET: 'secret', OIDC_NAME: ' Our “office” ', OIDC_ALLOW: ' groups=staff, dn=cn=a%2Cou=b%25 ,https://example.org/roles=x', OIDC_SESSION_HOURS: '720', OIDC_TOKEN_DAYS: '30', REGISTRATION: 'closed'
  })
  t.match(other, {
    identityProvider: { issuer: 'http://[::1]:8080/', clientSecret: 'secret', name: 'Our “office”', allowed: [{ claim: 'groups', value: 'staff' }, { claim: 'dn', value: 'cn=a,ou=b%' }, { claim: 'https://example.org/roles', value: 'x' }] },
    registration: 'closed',
    registrationReason: 'REGISTRATION is set'
  })
})

test('the states of synchronized folders are where the system keeps what is of one user', async t => {
  for (const [env, folder] of [
    [{ XDG_STATE_HOME: '/s', LOCALAPPDATA: '/w' }, '/s'],
    [{ LOCALAPPDATA: '/w' }, '/w'],
    [{ MAGICSTORE_TOKEN: ' ' }, resolve(homedir(), '.local/state')]
  ] as const) t.strictSame(readSyncSettings(env), { stateFolder: resolve(folder, 'magicstore/sync'), tokenFolder: resolve(folder, 'magicstore/tokens') })
  t.equal(readSyncSettings({ MAGICSTORE_TOKEN: ' secret\n' }).token, 'secret')
})

test('an identity provider that is half set, or open to everybody, is refused in one line', async t => {
  const without = (name: string) => ({ ...identityProvider, [name]: '' })
  for (const [settings, words] of [
    [without('OIDC_CLIENT_ID'), 'OIDC_CLIENT_ID must be set if OIDC_ISSUER is'],
    [without('OIDC_ALLOW'), 'OIDC_ALLOW must be set if OIDC_ISSUER is'],
    [without('PUBLIC_URL'), 'PUBLIC_URL must be set if OIDC_ISSUER is'],
    [{ ...identityProvider, PUBLIC_URL: 'http://files.example.org' }, 'PUBLIC_URL must be https if OIDC_ISSUER is set'],
    [{ ...identityProvider, WEB_PAGE: 'off' }, 'WEB_PAGE must be on if OIDC_ISSUER is set'],
    [{ ...identityProvider, OIDC_SESSION_HOURS: '49', OIDC_TOKEN_DAYS: '2' }, 'OIDC_TOKEN_DAYS: OIDC_SESSION_HOURS is longer'],
    [without('OIDC_ISSUER'), 'OIDC_ISSUER must be set if OIDC_CLIENT_ID is'],
    [{ OIDC_TOKEN_DAYS: '30' }, 'OIDC_ISSUER must be set if OIDC_TOKEN_DAYS is'],
    [{ REGISTRATION: 'oidc' }, 'OIDC_ISSUER must be set if REGISTRATION is oidc']
  ] as const) t.equal(refusalOf(settings), words)
  for (const OIDC_ALLOW of ['everyone', 'groups', '=staff', 'groups=', 'a b=c', 'groups=%', 'groups=%ff', 'groups=staff,', 'Anyone']) t.match(refusalOf({ ...identityProvider, OIDC_ALLOW }), /^OIDC_ALLOW: expected anyone, or claims/, OIDC_ALLOW)
  for (const OIDC_NAME of ['a"b', 'a&b', '<b>', '$&', 'a\nb', 'a'.repeat(65)]) t.match(refusalOf({ ...identityProvider, OIDC_NAME }), /^OIDC_NAME: /, OIDC_NAME)
  for (const OIDC_ISSUER of ['https://accounts.google.com', 'https://appleid.apple.com', 'https://gitlab.com', 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0']) {
    t.match(refusalOf({ ...identityProvider, OIDC_ISSUER }), /^OIDC_ALLOW: everybody has an account at this provider/)
    for (const REGISTRATION of ['open', 'closed']) t.equal(readConfig({ ...identityProvider, OIDC_ISSUER, REGISTRATION }).identityProvider?.allowed, 'anyone')
    t.type(readConfig({ ...identityProvider, OIDC_ISSUER, OIDC_ALLOW: 'hd=example.org' }).identityProvider?.allowed, Array)
  }
})
