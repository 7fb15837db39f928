import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { addProgram } from '../../src/deployment/program.js'
import { npmEnvironment, run } from '../kit/programs.ts'
import { root } from '../kit/root.ts'
import { clientOf, signUp } from '../kit/server.ts'
import { eventually } from '../kit/waiting.ts'
import { freePort } from '../kit/wire.ts'
import { skipWithout } from './fronts.ts'

// Builds the image on packages of Debian, as `npm run image` does, and runs it with podman.

const missing = skipWithout('podman', 'runc', 'mmdebstrap') || (process.getuid?.() === 0 ? false : 'needs root')

const MOST_BYTES = 250_000_000

/** Half of the time that Docker gives a container before it kills it. */
const MOST_SECONDS_TO_STOP = 5

/** Digests of all files of a folder, in order of names, but for what is compiled, or compressed by another zlib. */
async function digestsIn (folder: string): Promise<string[]> {
  const { stdout } = await run('bash', ['-c', 'find . -type f ! -name "*.node" ! -name "*.gz" ! -name "*.br" -print0 | sort -z | xargs -0 sha256sum'], { cwd: folder, env: { LC_ALL: 'C' } })
  return stdout.split('\n')
}

t.test('the image is small, has the same program as this checkout and no compiler, is healthy, stops in time and keeps its volume', { skip: missing, timeout: 3_600_000 }, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'magicstore-image-'))
  const podman = (...args: string[]) => run('podman', ['--root', `${folder}/store`, '--runroot', `${folder}/run`, '--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--runtime', 'runc', ...args], { env: npmEnvironment })
  t.teardown(async () => {
    await podman('rm', '--force', '--all', '--volumes', '--time', '0')
    await rm(folder, { recursive: true, force: true })
  })
  // Without the right to raise limits, podman starts no step. The machine's proxy may need its own certificates.
  const { stdout: limits } = await run('bash', ['-c', 'echo --ulimit nofile=$(ulimit -Hn) --ulimit nproc=$(ulimit -Hu)'])
  const built = await run('sh', [join(root, 'src/deployment/image.sh'), folder, ...limits.trim().split(' '), '--volume', '/etc/ssl/certs:/etc/ssl/certs:ro'], { env: npmEnvironment })
  t.equal(built.code, 0, built)
  t.match(await podman('load', '--quiet', '--input', built.stdout.trim()), { code: 0 })
  await rm(built.stdout.trim())

  const [image] = JSON.parse((await podman('image', 'inspect', 'magicstore')).stdout)
  t.ok(image.Size < MOST_BYTES, `${image.Size} bytes`)
  t.match(image, { User: 'node', Config: { Volumes: { '/data': {} }, StopSignal: 'SIGTERM' } })
  const without = ['--rm', '--read-only', '--network', 'none', 'magicstore']
  const search = 'for name in cc gcc g++ c++ as ld make python3 npm; do ! command -v $name || exit 1; done'
  t.match(await podman('run', ...without, 'sh', '-c', search), { code: 0, stdout: /^$/ })

  const port = await freePort()
  const container = ['--name', 'server', '--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--network', 'host', '--volume', 'data:/data', '--env', 'HOST=127.0.0.1', '--env', `PORT=${port}`]
  /** Another user than root, in a root that can't be written to. */
  async function start () {
    const started = await podman('run', '--detach', ...container, 'magicstore')
    t.equal(started.code, 0, started)
    await eventually(async () => (await podman('healthcheck', 'run', 'server')).code === 0)
    return clientOf(port)
  }
  async function stop () {
    const start = performance.now()
    t.match(await podman('stop', '--time', '60', 'server'), { code: 0 })
    const seconds = (performance.now() - start) / 1000
    t.ok(seconds < MOST_SECONDS_TO_STOP, `stopped in ${seconds} s`)
    t.equal((await podman('inspect', '--format', '{{.State.ExitCode}}', 'server')).stdout.trim(), '0')
    t.match(await podman('rm', 'server'), { code: 0 })
  }

  const { token, user } = await signUp(await start(), 'ann')
  const { send } = clientOf(port)
  const bytes = randomBytes(2 ** 20)
  t.equal((await send('PUT', '/uploads/report.pdf', { token, body: bytes })).status, 201)
  const who = await podman('exec', 'server', 'sh', '-c', 'id --user --name; grep CapEff /proc/1/status; ! touch /app/x')
  t.match(who, { code: 0, stdout: /^node\nCapEff:\t0+\n$/ })
  t.match(await podman('exec', 'server', 'node', 'dist/main.js', 'user', 'list'), { code: 0, stdout: 'ann' })
  t.match(await podman('exec', 'server', 'stat', '--format', '%U %a', '/data'), { stdout: 'node 700' })
  const copied = join(folder, 'copied')
  t.match(await podman('cp', 'server:/app', copied), { code: 0 })
  await stop()
  await start()
  t.ok((await send('GET', '/uploads/report.pdf', { user })).bytes.equals(bytes), 'a new container has the data of the volume')
  await stop()

  const expected = join(folder, 'expected')
  await mkdir(expected)
  addProgram(expected)
  await rm(join(copied, 'LICENSE'))
  const [inImage, inCheckout] = await Promise.all([digestsIn(copied), digestsIn(expected)])
  t.ok(inCheckout.length > 1000)
  t.same(inImage, inCheckout)
})
