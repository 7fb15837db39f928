import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import { chromiumPath } from './kit/chromium.ts'
import { root } from './kit/root.ts'
import { startProcess } from './proof/server-process.ts'

// Makes the picture of the README from a server with some files: `npm run picture`.

const target = join(root, 'src/page/picture.png')

const files = [
  { name: 'Contract, signed.pdf', type: 'application/pdf', size: 284_123 },
  { name: 'Family/At the lake.jpg', type: 'image/jpeg', size: 3_412_877 },
  { name: 'Interview.mp3', type: 'audio/mpeg', size: 18_904_511 },
  { name: 'Letters/2024.zip', type: 'application/zip', size: 61_230_004 },
  { name: 'Notes.md', type: 'text/markdown', size: 4_210 },
  { name: 'Plan of the garden.svg', type: 'image/svg+xml', size: 48_002 },
  { name: 'Taxes 2025.xlsx', type: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', size: 92_881 },
  { name: 'The concert.mp4', type: 'video/mp4', size: 148_201_330 }
]

const user = { username: 'ada', password: 'the password of the picture' }
const basic = `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`

/** Files of one account; one of them has a version, and one more is in the trash. */
async function fill (url: string): Promise<void> {
  await fetch(`${url}/api/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(user) })
  const put = (name: string, type: string, size: number) => fetch(`${url}/uploads/${encodeURIComponent(name)}`, { method: 'PUT', headers: { authorization: basic, 'content-type': type }, body: randomBytes(size) })
  for (const { name, type, size } of files) await put(name, type, size)
  await put('Notes.md', 'text/markdown', 4_380)
  await put('Draft.txt', 'text/plain', 30_000_000)
  await fetch(`${url}/uploads/Draft.txt`, { method: 'DELETE', headers: { authorization: basic } })
}

async function signIn (page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.getByLabel('Username').fill(user.username)
  await page.getByLabel('Password', { exact: true }).fill(user.password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByText(files[0]?.name ?? '').waitFor()
}

const dataDir = await mkdtemp(join(tmpdir(), 'magicstore-picture-'))
const server = await startProcess(dataDir)
const browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-gpu'] })
try {
  await fill(server.url)
  const page = await browser.newPage({ viewport: { width: 1000, height: 600 } })
  await signIn(page, server.url)
  await page.screenshot({ path: process.argv[2] ?? target })
} finally {
  await browser.close()
  server.child.kill('SIGTERM')
  await server.ended
  await rm(dataDir, { recursive: true })
}
