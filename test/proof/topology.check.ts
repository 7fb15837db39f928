import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { access, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type ClientRequest, type Server } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { parse } from 'yaml'
import { readConfig } from '#src/config.ts'
import { scalingCommands } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { MIB } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'
import { clusterProxy, NAME, read, skipWithout, startFront } from './fronts.ts'

// Several servers behind nginx: compose.yaml, and what it describes, started by hand.

const compose = parse(await read('compose.yaml'), { merge: true })

test('what runs in the containers is confined, healthy or restarted, and has no secret that the file tells', async t => {
  const { services, networks, volumes } = compose
  for (const [name, service] of Object.entries<any>(services)) {
    t.match(service, { restart: 'unless-stopped', read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'], healthcheck: {} }, name)
    t.match(service.image, service.build === undefined ? /:v?\d+(\.\d+)*$/ : /^magicstore$/, 'no image changes by itself to another major version')
    t.equal(service.ports !== undefined, name === 'nginx', 'only nginx can be reached')
    t.equal(service.cap_add !== undefined, name === 'nginx')
    for (const [variable, value] of Object.entries<any>(service.environment ?? {})) {
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
  t.strictSame(Object.entries<any>(services).filter(([, { networks }]) => networks.includes('front')).map(([name]) => name), ['magicstore', 'nginx'], 'whom a server trusts')
  t.equal(services.magicstore.environment?.TRUST_PROXY, networks.front?.ipam?.config[0]?.subnet)
  const [, check = ''] = /^HEALTHCHECK .*(CMD .*)$/m.exec(await read('Dockerfile')) ?? []
  t.match(check, '/health/ready')
  t.equal(services.magicstore.healthcheck.test, undefined, 'that of the image')
  t.match(services.nginx.healthcheck.test?.at(-1), /\/health\/ready$/)
})

test('the settings of the servers in the containers are settings, and name the bucket that Garage makes', async t => {
  const { services: { magicstore, garage, postgres } } = compose
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
  const { secrets } = await scalingCommands()
  execFileSync('/bin/bash', ['-c', secrets.join('\n').replaceAll(/^# /gm, '').replace('/etc/magicstore.env', file)])
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

const skip = skipWithout('nginx', 'openssl')

// cluster.check.ts has what several servers do; here stand others in their place.
test('nginx sends requests to all servers, passes bodies on as they come, and asks the others when one is gone', { skip }, async t => {
  t.testdir()
  const bytes = randomBytes(4 * MIB)
  const answered = [0, 0, 0]
  let received = 0
  async function start (index: number, port = 0): Promise<Server> {
    const server = createServer(async (request, response) => {
      for await (const chunk of request) received += chunk.length
      answered[index] = Number(answered[index]) + 1
      response.end(bytes)
    }).listen(port, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => { server.close(); server.closeAllConnections() })
    return server
  }
  const servers = await Promise.all([0, 1, 2].map(index => start(index)))
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  const front = await startFront(t, clusterProxy, ...ports)
  const ca = await readFile(front.cert)
  const begin = (method: string) => httpsRequest({ host: '127.0.0.1', port: front.https, servername: NAME, ca, agent: false, method, path: '/uploads/a', headers: { host: NAME } })
  async function isRight (request: ClientRequest): Promise<boolean> {
    const [response] = await once(request.end(), 'response')
    return response.statusCode === 200 && Buffer.concat(await response.toArray()).equals(bytes)
  }
  const readAll = async () => (await Promise.all(Array.from({ length: 30 }, () => isRight(begin('GET'))))).every(Boolean)
  const upload = begin('PUT')
  upload.write(bytes)
  await until(() => received > 0)
  t.ok(await isRight(upload))
  t.equal(received, bytes.length)
  t.ok(await readAll())
  t.ok(answered.every(count => count > 3), `each server answers some: ${answered.join(', ')}`)
  for (const place of ['client_body', 'proxy']) t.strictSame(await readdir(join(t.testdirName, 'front', place)), [], `${place} is empty`)
  servers[0]?.close()
  servers[0]?.closeAllConnections()
  t.ok(await readAll(), 'nginx sends them to another server')
  const before = Number(answered[0])
  await start(0, ports[0])
  t.ok(await until(async () => await isRight(begin('GET')) && Number(answered[0]) > before), 'nginx finds it again')
})
