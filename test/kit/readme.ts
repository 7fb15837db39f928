import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { unwatched } from './programs.ts'
import { root } from './root.ts'
import { clientOf } from './server.ts'

export const readReadme = () => readFile(join(root, 'README.md'), 'utf8')

/** A page of the operator's guide. */
export const readPage = (name: string) => readFile(join(root, 'src/deployment', name), 'utf8')

/** The operator's guide. */
export const readGuide = () => readPage('operating.md')

/**
 * The text below a heading, up to the next one of the same or a higher level. A single `#` starts a line for root, not
 * a heading.
 */
export function sectionOf (text: string, heading: string): string {
  const [hashes = ''] = heading.split(' ')
  return text.split(`\n${heading}\n`)[1]?.split(new RegExp(`\n#{2,${hashes.length}} `))[0] ?? ''
}

/** The fenced blocks, each with its language and lines. */
export const fencedIn = (text: string) =>
  Array.from(text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm), ([, language = '', code = '']) => ({ language, lines: code.trim().split('\n') }))

/** The fenced blocks of one language, as lines. */
export const blocksOf = (text: string, language: string) =>
  fencedIn(text).filter(block => block.language === language).map(({ lines }) => lines)

/**
 * The commands of scaling.md: those that make secrets, those that move a store, and those that only another machine
 * could run.
 */
export async function scalingCommands (): Promise<Record<'secrets' | 'move' | 'elsewhere', string[]>> {
  const page = await readPage('scaling.md')
  const byRoot = blocksOf(page, 'console').flat()
  const isElsewhere = (line: string) => /^# (?:cp|systemctl|docker) /.test(line)
  return { secrets: byRoot.filter(line => !isElsewhere(line)), move: blocksOf(page, 'bash').flat(), elsewhere: byRoot.filter(isElsewhere) }
}

/** Makes curl also print the status of each response to standard error. */
const curlrc = 'no-progress-meter\nwrite-out = "%{stderr}%{http_code}\\n"\n'

export interface Typed { code: number | null, stdout: string, stderr: string, statuses: number[] }

/** Runs lines of curl in a shell, with the server's port. */
export async function typeLines (lines: string[], { port, folder, shell }: { port: number, folder: string, shell: 'bash' | 'sh' }): Promise<Typed> {
  const script = lines.join('\n').replaceAll('127.0.0.1:5000', `127.0.0.1:${port}`)
  await writeFile(join(folder, '.curlrc'), curlrc)
  const child = spawn(shell, ['-e', '-c', script], { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, CURL_HOME: folder } })
  const exited = once(child, 'exit')
  const [stdout = '', stderr = ''] = (await Promise.all([child.stdout, child.stderr].map(stream => stream.setEncoding('utf8').toArray()))).map(chunks => chunks.join(''))
  const statuses = stderr.split('\n').filter(line => /^\d{3}$/.test(line)).map(Number)
  return { code: (await exited)[0], stdout, stderr, statuses }
}

/** Whether a line of the README belongs to the session from registration to download. */
export const isOfSession = (line: string) => /^(?:curl|echo|cmp|token=)/.test(line)

export const isOfStart = (line: string) => line.endsWith('npm start')

/**
 * Runs a line that starts the server, except `npm ci`, with a free port and a test folder, and ends npm: the server
 * ends too.
 */
export async function checkStart (t: Test, line: string): Promise<void> {
  const folder = t.testdir()
  const [inherited, typed] = [join(folder, 'inherited'), join(folder, 'typed')]
  const command = line.replace('npm ci && ', '').replace('PORT=8080', 'PORT=0').replace('/var/lib/magicstore', typed)
  // In place of bash npm gets the signal.
  const script = unwatched(command.replace(/npm start$/, 'exec npm start'))
  const child = spawn('bash', ['-c', script], { cwd: root, env: { ...process.env, PORT: '0', DATA_DIR: inherited }, stdio: ['ignore', 'pipe', 'ignore'] })
  // The pipe closes when npm and the server have ended.
  const closed = once(child, 'close')
  const said: string[] = []
  for await (const line of createInterface(child.stdout)) {
    said.push(line)
    if (line.includes('password policy')) break
  }
  child.stdout.resume()
  const [, url, port] = /serves at (http:\/\/127\.0\.0\.1:(\d+))$/m.exec(said.join('\n')) ?? []
  t.match(said.join('\n'), `${url}/docs`)
  t.match(said.join('\n'), line.includes('DATA_DIR=') ? typed : inherited)
  const { send } = clientOf(Number(port))
  t.equal((await send('GET', '/')).json.name, 'MagicStore')
  child.kill('SIGTERM')
  await closed
  await t.rejects(send('GET', '/health/live'), { code: 'ECONNREFUSED' })
}

/** Runs the README's session against a server on `port`, in an empty folder, and checks the result. */
export async function checkSession (t: Test, { port, folder }: { port: number, folder: string }): Promise<void> {
  const lines = blocksOf(await readReadme(), 'bash').flat().filter(isOfSession)
  const { code, stdout, stderr, statuses } = await typeLines(lines, { port, folder, shell: 'sh' })
  t.equal(code, 0, { stderr })
  t.same(statuses, [201, 200, 200, 200, 201, 200, 200, 200, 201, 206, 200, 204, 200])
  t.equal(statuses.length, lines.join('\n').split(/\bcurl\b/).length - 1, 'one for each curl')
  t.match(stdout, `http://127.0.0.1:${port}/api/users/1`)
  t.match(stdout, '"duration":600')
  t.match(stdout, '{"data":"Hello, test_user!"}')
  t.equal(await readFile(join(folder, 'copy.pdf'), 'utf8'), 'the first report\n')
}
