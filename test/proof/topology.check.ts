import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { access, readdir, readFile, writeFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { parse } from 'yaml'
import { readConfig } from '#src/config.ts'
import { startPostgres } from '../kit/postgres.ts'
import { scalingCommands } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { credentials, openS3, type FakeS3 } from '../kit/s3.ts'
import { formOf, signUp, spawnServer, type ServerProcess } from '../kit/server.ts'
import { isProof, MIB } from '../kit/sizes.ts'
import { eventually, until } from '../kit/waiting.ts'
import { freePort } from '../kit/wire.ts'
import { clusterProxy, NAME, read, skipWithout, startFront } from './fronts.ts'

// Several servers behind nginx: compose.yaml, and what it describes, started by hand.

/** A service of compose.yaml, as far as it is used there. */
interface Service {
  image: string
  build?: { context: string, dockerfile: string }
  restart: string
  read_only: boolean
  cap_drop: string[]
  cap_add?: string[]
  security_opt: string[]
  environment?: Record<string, string>
  ports?: string[]
  volumes?: string[]
  networks: string[]
  healthcheck: { test?: string[] }
}

interface Compose {
  services: Record<'magicstore' | 'nginx' | 'postgres' | 'garage', Service>
  networks: Record<string, { internal?: boolean, ipam?: { config: { subnet: string }[] } } | null>
  volumes: Record<string, null>
}

const readCompose = async (): Promise<Compose> => parse(await read('compose.yaml'), { merge: true })

/** The commands of the page that make the secrets, and write them to `file`. */
async function secretCommands (file: string): Promise<string> {
  const { secrets } = await scalingCommands()
  return secrets.join('\n').replaceAll(/^# /gm, '').replace('/etc/magicstore.env', file)
}

test('what runs in the containers is confined, healthy or restarted, and has no secret that the file tells', async t => {
  const { services, networks, volumes } = await readCompose()
  for (const [name, service] of Object.entries(services)) {
    t.match(service, { restart: 'unless-stopped', read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'], healthcheck: {} }, name)
    t.match(service.image, service.build === undefined ? /:v?\d+(\.\d+)*$/ : /^magicstore$/, 'no image changes by itself to another major version')
    t.equal(service.ports !== undefined, name === 'nginx', 'only nginx can be reached')
    t.equal(service.cap_add !== undefined, name === 'nginx')
    for (const [variable, value] of Object.entries(service.environment ?? {})) {
      if (/PASSWORD|SECRET|KEY/.test(variable)) t.match(value, /^\$\{\w+:\?\}$/, `${variable} has no default`)
    }
    for (const volume of service.volumes ?? []) {
      const [from = '', , mode] = volume.split(':')
      if (from.startsWith('./')) await t.resolves(access(join(root, 'src/deployment', from)), volume)
      t.ok(from in volumes || mode === 'ro', `${volume} can't be changed`)
    }
    for (const network of service.networks) t.ok(network in networks, network)
  }
  for (const name of ['postgres', 'garage'] as const) t.strictSame(services[name].networks, ['back'])
  t.equal(networks.back?.internal, true)
  t.strictSame(Object.entries(services).filter(([, { networks }]) => networks.includes('front')).map(([name]) => name), ['magicstore', 'nginx'], 'whom a server trusts')
  t.equal(services.magicstore.environment?.TRUST_PROXY, networks.front?.ipam?.config[0]?.subnet)
  const [, check = ''] = /^HEALTHCHECK .*(CMD .*)$/m.exec(await read('Dockerfile')) ?? []
  t.match(check, '/health/ready')
  t.equal(services.magicstore.healthcheck.test, undefined, 'that of the image')
  t.match(services.nginx.healthcheck.test?.at(-1), /\/health\/ready$/)
})

test('the settings of the servers in the containers are settings, and name the bucket that Garage makes', async t => {
  const { services: { magicstore, garage, postgres } } = await readCompose()
  const secrets: Record<string, string> = { PUBLIC_URL: `https://${NAME}`, POSTGRES_PASSWORD: 'secret', AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' }
  const settings = Object.fromEntries(Object.entries(magicstore.environment ?? {}).map(([name, value]) => [name, String(value).replace(/\$\{(\w+):\?\}/, (_, key: string) => String(secrets[key]))]))
  const config = readConfig(settings)
  t.match(config, { databaseUrl: 'postgres://magicstore:secret@postgres/magicstore', metricsPort: 9090, publicUrl: `https://${NAME}` })
  const toml = await read('garage.toml')
  t.match(config.storageUrl, { bucket: garage.environment?.GARAGE_DEFAULT_BUCKET, endpoint: `http://garage:${/^api_bind_addr = ".*:(\d+)"$/m.exec(toml)?.[1]}`, region: /^s3_region = "(.*)"$/m.exec(toml)?.[1] })
  t.match(toml, /^metadata_fsync = true\ndata_fsync = true$/m, 'what is acknowledged is on stable storage')
  t.match(postgres.environment, { POSTGRES_USER: 'magicstore', POSTGRES_DB: 'magicstore', POSTGRES_PASSWORD: magicstore.environment?.DATABASE_URL?.match(/\$\{.*\}/)?.[0] })
  t.equal(garage.environment?.GARAGE_DEFAULT_SECRET_KEY, magicstore.environment?.AWS_SECRET_ACCESS_KEY)
})

test('Docker Compose takes compose.yaml with the secrets that the page makes, and not without one of them', { skip: skipWithout('docker-compose', 'openssl') }, async t => {
  const file = join(t.testdir(), 'magicstore.env')
  execFileSync('/bin/bash', ['-c', await secretCommands(file)])
  const lines = (await readFile(file, 'utf8')).trim().split('\n')
  t.ok(lines.every(line => /^\w+=\S+$/.test(line)), 'each has a value')
  const config = (...format: string[]) => spawnSync('docker-compose', ['--env-file', file, '--file', join(root, 'src/deployment/compose.yaml'), 'config', ...format], { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: t.testdirName } })
  const { status, stdout, stderr } = config('--format', 'json')
  t.equal(status, 0, { stderr })
  t.match(JSON.parse(stdout), { services: { magicstore: { deploy: { replicas: 3 }, environment: { DATABASE_URL: /^postgres:\/\/magicstore:[0-9a-f]{64}@postgres\/magicstore$/ } } } })
  for (const missing of lines) {
    await writeFile(file, lines.filter(line => line !== missing).join('\n'))
    const [name = ''] = missing.split('=')
    t.match(config('--quiet'), { status: 15, stderr: `${name} is missing a value` })
  }
})

test('nginx treats several servers as it treats one', async t => {
  const [one, several] = await Promise.all(['nginx.conf', 'nginx-cluster.conf'].map(async name => (await read(name)).split(/^(?=server \{$)/m)))
  t.strictSame(several?.slice(1), one?.slice(1))
})

interface Answer { readonly status: number, readonly headers: Record<string, unknown>, readonly bytes: Buffer }

interface Topology {
  readonly servers: ServerProcess[]
  readonly s3: FakeS3
  /** The folder of nginx's temporary files. */
  readonly folder: string
  /** How many requests each server has answered. */
  counts (): number[]
  /** Starts one more server; at the port of one that has ended, nginx finds it. */
  start (port: number): Promise<ServerProcess>
  /** Sends a request through nginx. */
  send (
    method: string,
    path: string,
    options?: { headers?: Record<string, string>, body?: Uint8Array, pause?: () => Promise<void> }
  ): Promise<Answer>
}

/** nginx with the committed configuration, three servers, PostgreSQL and S3. */
async function startTopology (t: Test): Promise<Topology> {
  const postgres = await startPostgres(t)
  const s3 = await openS3(t)
  const database = await postgres.newDatabase()
  const counts: number[] = []
  async function start (port?: number): Promise<ServerProcess> {
    const index = counts.push(0) - 1
    const server = await spawnServer(t, { PORT: String(port ?? await freePort()), DATABASE_URL: database, STORAGE_URL: s3.url(), TRUST_PROXY: '127.0.0.1', BLOB_GRACE_SECONDS: '0', RATE_LIMIT_PER_MINUTE: '0', ...credentials })
    server.child.stdout?.on('data', (chunk: Buffer) => { counts[index] = Number(counts[index]) + chunk.toString().split('"msg":"request"').length - 1 })
    return server
  }
  const servers = await Promise.all([start(), start(), start()])
  const front = await startFront(t, clusterProxy, ...servers.map(({ port }) => port))
  const ca = await readFile(front.cert)
  const { token } = await signUp(servers[0] as ServerProcess, 'ann')

  async function send (method: string, path: string, {
    headers = {}, body, pause = async () => {}
  }: { headers?: Record<string, string>, body?: Uint8Array, pause?: () => Promise<void> } = {}): Promise<Answer> {
    const request = httpsRequest({
      host: '127.0.0.1',
      port: front.https,
      servername: NAME,
      ca,
      agent: false,
      method,
      path,
      headers: { host: NAME, authorization: `Bearer ${token}`, ...(body && { 'content-length': body.length }), ...headers }
    })
    request.on('error', () => {})
    const answered = once(request, 'response')
    answered.catch(() => {})
    if (body !== undefined) {
      request.write(body.subarray(0, body.length >> 1))
      await pause()
    }
    request.end(body?.subarray(body.length >> 1))
    const [response] = await answered
    return { status: response.statusCode, headers: response.headers, bytes: Buffer.concat(await response.toArray()) }
  }

  return { servers, s3, folder: join(t.testdirName, 'front'), counts: () => counts, start, send }
}

const skip = skipWithout('nginx', 'openssl')

test('through nginx files go up and down over all servers, and when one is killed the others answer', { skip }, async t => {
  const { send, s3, folder, counts, servers, start } = await startTopology(t)
  /** How many downloads and uploads are waited for. */
  const size = isProof ? 30 : 10
  const [large, other] = [randomBytes(24 * MIB), randomBytes(6 * MIB)]
  // nginx passes the bytes on as they come: the bucket has some while half of the body is still to be sent.
  const streamed = async () => { t.ok(await eventually(() => s3.uploads().length === 1)) }
  const created = await send('PUT', '/uploads/large.bin', { body: large, pause: streamed })
  t.equal(created.status, 201)
  t.equal(created.headers.location, '/uploads/large.bin')
  const { headers, body } = formOf('form.bin', other)
  t.equal((await send('POST', '/', { headers, body })).status, 201)

  const downloads = await Promise.all(Array.from({ length: size }, () => send('GET', '/uploads/large.bin')))
  t.ok(downloads.every(({ status, bytes }) => status === 200 && bytes.equals(large)))
  const ranges = await Promise.all(Array.from({ length: 2 * size }, async (_, index) => {
    const start = index * 300_007
    const { status, bytes } = await send('GET', '/uploads/large.bin', { headers: { range: `bytes=${start}-${start + 999_999}` } })
    return status === 206 && bytes.equals(large.subarray(start, start + 1_000_000))
  }))
  t.ok(ranges.every(Boolean))
  t.ok((await send('GET', '/uploads/form.bin')).bytes.equals(other))
  t.equal((await send('GET', '/uploads/large.bin', { headers: { 'if-none-match': String(created.headers.etag) } })).status, 304)
  t.ok(counts().every(count => count > 3), `each server answers some: ${counts().join(', ')}`)
  for (const place of ['client_body', 'proxy']) t.strictSame(await readdir(join(folder, place)), [], `${place} is empty`)

  // cluster.check.ts kills a server during uploads.
  const [stopped, killed] = servers as [ServerProcess, ServerProcess]
  await killed.end('SIGKILL')
  const reads = await Promise.all(Array.from({ length: size }, () => send('GET', '/api/files')))
  t.ok(reads.every(({ status }) => status === 200), 'nginx sends them to another server')
  // One more is upgraded: stopped in order, and started again.
  t.equal(await stopped.end('SIGTERM'), 0)
  await start(stopped.port)
  const isFound = async () => (await send('GET', '/api/files')).status === 200 && Number(counts().at(-1)) > 2
  t.ok(await until(isFound), 'nginx finds it again')
})
