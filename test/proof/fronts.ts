import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'
import { certify } from '../kit/certificates.ts'
import { root } from '../kit/root.ts'
import { freePort } from '../kit/wire.ts'

/** The host name of the examples. */
export const NAME = 'files.example.org'

/** The `skip` option of a test that needs a program. */
export const skipWithout = (...programs: string[]): string | false => {
  const missing = programs.filter(program => spawnSync(program, ['--version']).error !== undefined)
  return missing.length > 0 && `${missing.join(', ')} is not installed`
}

/** A file of the deployment folder. */
export const read = (name: string) => readFile(join(root, 'src/deployment', name), 'utf8')

/** Waits for a matching line, then discards the rest. */
export async function lineOf (stream: Readable | null, pattern: RegExp): Promise<void> {
  const lines: string[] = []
  const reader = createInterface(stream as Readable)
  for await (const line of reader) {
    lines.push(line)
    if (!pattern.test(line)) continue
    reader.close()
    stream?.resume()
    return
  }
  throw new Error(`it did not start: ${lines.join('\n')}`)
}

/** Replacements for the ports and files in the example of a proxy. */
interface Place { folder: string, http: number, https: number, servers: number[], cert: string, key: string }

export interface Proxy {
  readonly program: string
  readonly example: string
  /** Replacements in the example, from original to test value. */
  replaced (place: Place): [string, string][]
  /** The text around the example, and its file. */
  wrapped (example: string, place: Place): string
  check (file: string, place: Place): string[]
  serve (file: string, place: Place): string[]
  readonly ready: RegExp
}

/** nginx with one of the examples, in which `address` is the line that names the servers. */
function nginxWith (example: string, address: string): Proxy {
  return {
    program: 'nginx',
    example,
    replaced: ({ folder, http, https, servers, cert, key }) => [
      ['/var/log/nginx/access.log', `${folder}/access.log`], ['/var/log/nginx/error.log', `${folder}/error.log`],
      ['  listen [::]:80;\n', ''], ['  listen [::]:443 ssl;\n', ''],
      ['listen 80;', `listen 127.0.0.1:${http};`], ['listen 443 ssl;', `listen 127.0.0.1:${https} ssl;`],
      [address, servers.map(port => `server 127.0.0.1:${port};`).join('\n')],
      [`/etc/letsencrypt/live/${NAME}/fullchain.pem`, cert], [`/etc/letsencrypt/live/${NAME}/privkey.pem`, key]
    ],
    wrapped (example, { folder }) {
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${folder}/${name};`)
      return `daemon off; pid ${folder}/nginx.pid; error_log stderr notice; events {}\nhttp {\naccess_log off; ${temporary.join(' ')}\n${example}}\n`
    },
    check: (file, { folder }) => ['-t', '-p', folder, '-c', file],
    serve: (file, { folder }) => ['-p', folder, '-c', file],
    ready: /start worker process \d+/
  }
}

const caddy: Proxy = {
  program: 'caddy',
  example: 'Caddyfile',
  replaced: ({ servers, cert, key }) => [[`${NAME} {\n`, `${NAME} {\n\tlog\n\ttls ${cert} ${key}\n`], ['127.0.0.1:5000', `127.0.0.1:${servers[0]}`]],
  wrapped: (example, { http, https }) => example.replace('\n{\n', `\n{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\thttp_port ${http}\n\thttps_port ${https}\n`),
  check: file => ['validate', '--adapter', 'caddyfile', '--config', file],
  serve: file => ['run', '--adapter', 'caddyfile', '--config', file],
  ready: /serving initial configuration/
}

/** The examples of a proxy in front of one server. */
export const proxies: readonly Proxy[] = [nginxWith('nginx.conf', 'server 127.0.0.1:5000;'), caddy]

/** The example of nginx in front of several servers. */
export const clusterProxy = nginxWith('nginx-cluster.conf', 'server magicstore:5000 resolve;')

export interface Front {
  readonly cert: string
  readonly http: number
  readonly https: number
  /** What it has logged: access and errors. */
  log (): Promise<string>
}

/** Checks the example of a proxy with the proxy itself, then runs it in front of servers. */
export async function startFront (t: Test, proxy: Proxy, ...servers: number[]): Promise<Front> {
  const folder = join(t.testdirName, 'front')
  await mkdir(folder)
  const { TLS_CERT: cert, TLS_KEY: key } = await certify(folder, { name: NAME })
  const place = { folder, cert, key, http: await freePort(), https: await freePort(), servers }
  let example = await read(proxy.example)
  for (const [text, own] of proxy.replaced(place)) {
    t.ok(example.includes(text), `${proxy.example} has ${text.trim()}`)
    example = example.replaceAll(text, own)
  }
  const file = join(folder, proxy.example)
  await writeFile(file, proxy.wrapped(example, place))
  const env = { PATH: process.env.PATH, HOME: folder }
  const checked = spawnSync(proxy.program, proxy.check(file, place), { env, encoding: 'utf8' })
  t.equal(checked.status, 0, `${proxy.program} takes ${proxy.example}`, { stderr: checked.stderr })
  const child = spawn(proxy.program, proxy.serve(file, place), { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGTERM')
    await ended
  })
  const errors: Buffer[] = []
  child.stderr.on('data', chunk => errors.push(chunk))
  await lineOf(child.stderr, proxy.ready)
  const logs = (await readdir(folder)).filter(name => name.endsWith('.log')).map(name => join(folder, name))
  const log = async () => Buffer.concat([...errors, ...await Promise.all(logs.map(path => readFile(path)))]).toString()
  return { cert, http: place.http, https: place.https, log }
}
