import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { v8Flags } from '../kit/bin.ts'
import { execute } from '../kit/programs.ts'
import { root } from '../kit/root.ts'

const baseline = fileURLToPath(new URL('baseline.ts', import.meta.url))

export interface Running { readonly port: number, readonly pid: number, stop (): Promise<void> }

/** A folder for everything a bench writes, removed at exit. */
export async function openWorkbench (): Promise<{ folder: string, close (): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'magicstore-bench-'))
  return { folder, close: () => rm(folder, { recursive: true }) }
}

/** The built server with default settings, except for rate limits and `settings`; its log goes to a file. */
export async function startMagicStore (dataDir: string, settings: Record<string, string> = {}): Promise<Running> {
  const log = `${dataDir}.log`
  const child = spawn(process.execPath, [...v8Flags, join(root, 'dist/main.js'), 'serve'], {
    env: { PATH: process.env.PATH, DATA_DIR: dataDir, PORT: '0', RATE_LIMIT_PER_MINUTE: '0', ...settings },
    stdio: ['ignore', openSync(log, 'w'), 'inherit']
  })
  return { ...await ready(child, () => Number(/MagicStore serves at \S+:(\d+)/.exec(readFileSync(log, 'utf8'))?.[1])) }
}

/** Milliseconds from the start of the process to its first response. */
export async function startOf (dataDir: string, settings: Record<string, string> = {}): Promise<number> {
  const began = performance.now()
  const server = await startMagicStore(dataDir, settings)
  await fetch(`http://127.0.0.1:${server.port}/`)
  const elapsed = performance.now() - began
  await server.stop()
  return elapsed
}

/** One of the servers of `baseline.ts`. */
export async function startBaseline (kind: 'http' | 'fastify' | 'files', folder: string): Promise<Running> {
  return startScript(baseline, [kind, folder], join(folder, `${kind}.log`))
}

/** A script that prints its port. */
export async function startScript (script: string, args: string[], log: string): Promise<Running> {
  const child = spawn(process.execPath, ['--import', 'ts-blank-space/register', script, ...args], { cwd: root, stdio: ['ignore', openSync(log, 'w'), 'inherit'] })
  return ready(child, () => Number(/^\d+/.exec(readFileSync(log, 'utf8'))?.[0]))
}

/** What a script prints as JSON. */
export async function resultOf<T> (script: string, args: string[], env: Record<string, string> = {}): Promise<T> {
  const { stdout } = await execute(process.execPath, ['--import', 'ts-blank-space/register', script, ...args], { cwd: root, env: { ...process.env, ...env } })
  return JSON.parse(stdout) as T
}

/** The figure that a baseline prints: `argon2` for so many seconds, or `deletes` in a folder. */
export async function measureBaseline (kind: 'argon2' | 'deletes', argument: string): Promise<number> {
  const { stdout } = await execute(process.execPath, ['--import', 'ts-blank-space/register', baseline, kind, argument], { cwd: root })
  return Number(stdout)
}

export const hasNginx = await execute('nginx', ['-v']).then(() => true, (error: { code?: unknown }) => error.code !== 'ENOENT')

/** nginx serving a folder, with PUT; one worker per core. */
export async function startNginx (folder: string): Promise<Running> {
  const port = 6080 + process.pid % 100
  await mkdir(join(folder, 'logs'), { recursive: true })
  const config = join(folder, 'nginx.conf')
  await writeFile(config, `
worker_processes auto; daemon off; pid ${folder}/nginx.pid; error_log ${folder}/logs/error.log;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0; client_body_temp_path ${folder}/body;
  server { listen 127.0.0.1:${port}; root ${folder}; location / { dav_methods PUT; } }
}`)
  const child = spawn('nginx', ['-c', config, '-e', join(folder, 'logs/error.log')], { stdio: ['ignore', 'ignore', 'inherit'] })
  await wait(500)
  return { port, pid: Number(child.pid), stop: () => stop(child) }
}

async function ready (child: ChildProcess, portOf: () => number): Promise<Running> {
  for (let tries = 0; tries < 1000 && child.exitCode === null; tries++) {
    const port = portOf()
    if (port > 0) return { port, pid: Number(child.pid), stop: () => stop(child) }
    await wait(10)
  }
  throw new Error('a server of the bench did not start')
}

export async function stop (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

/** Resident memory of a process, in bytes. */
export function residentBytes (pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

/** The most memory that a process uses during `work`, above what it used before, in bytes. */
export async function peakAbove (pid: number, work: () => Promise<unknown>): Promise<number> {
  const idle = residentBytes(pid)
  let peak = idle
  const sampler = setInterval(() => { peak = Math.max(peak, residentBytes(pid)) }, 20)
  await work().finally(() => clearInterval(sampler))
  return peak - idle
}

/**
 * CPU time that the threads of a process have used, in seconds. From `schedstat`: `stat` counts in steps of 10 ms, a
 * fifth of 200 deletes.
 */
export function cpuSeconds (pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0]) / 1e9, 0)
}

/** A process that is idle uses less CPU time in half a second. */
const QUIET_SECONDS = 0.005

/** Waits until a process has used next to no CPU time for half a second, so that its background work is done. */
export async function untilQuiet (pid: number): Promise<void> {
  for (let before = -1, now = cpuSeconds(pid); now - before > QUIET_SECONDS; now = cpuSeconds(pid)) {
    before = now
    await wait(500)
  }
}
