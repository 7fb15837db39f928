import { test, type Test } from 'tap'
import { sizes } from '../kit/sizes.ts'
import { createLink, type CreatedLink } from '../kit/links.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { formOf, namesOf, signUp, spawnServer, type Answer, type Client, type ServerProcess } from '../kit/server.ts'
import { TUS } from '../kit/tus.ts'

// The limits of a link are exact over all servers of a store, in every way of upload.

const UPLOADS = 32
const MAX_FILES = 5
const ROUNDS = sizes.linkLimitRounds

const draft = { 'upload-complete': '?1', 'content-disposition': 'inline; filename=a' }
const tus = { ...TUS, 'content-type': 'application/offset+octet-stream', 'upload-metadata': `filename ${Buffer.from('a').toString('base64')}` }

type Headers = Record<string, string>
type Upload = (server: Client, path: string, bytes: string) => Promise<Answer>

/** Creates an upload and appends to it in another request. */
const inTwo = (creation: Headers, append: Headers): Upload => async (server, path, bytes) => {
  const created = await server.send('POST', `${path}/uploads`, { headers: creation })
  if (created.status !== 201) return created
  const headers = { ...append, 'upload-offset': '0' }
  return server.send('PATCH', `${path}/uploads/${created.json.id}`, { headers, body: bytes })
}

const ways: Record<string, Upload> = {
  PUT: (server, path, body) => server.send('PUT', `${path}/files/a`, { body }),
  'a form': (server, path, bytes) => server.send('POST', `${path}/files`, formOf('a', bytes)),
  tus: (server, path, body) => server.send('POST', `${path}/uploads`, { headers: { ...tus, 'upload-length': String(body.length) }, body }),
  'a draft': (server, path, body) => server.send('POST', `${path}/uploads`, { headers: draft, body }),
  'tus in two requests': inTwo({ ...tus, 'upload-defer-length': '1' }, { ...TUS, 'content-type': tus['content-type'], 'upload-length': '10' }),
  'a draft in two requests': inTwo({ ...draft, 'upload-complete': '?0' }, { 'upload-complete': '?1', 'content-type': 'application/partial-upload' })
}

async function startThree (t: Test) {
  const postgres = await startPostgres(t)
  const s3 = await openS3(t)
  const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), ...credentials, LINKS: 'on', RATE_LIMIT_PER_MINUTE: '0', BLOB_GRACE_SECONDS: '0' }
  const start = () => spawnServer(t, settings)
  const first = await start()
  const servers: [ServerProcess, ...ServerProcess[]] = [first, await start(), await start()]
  const { token } = await signUp(servers[0])
  await servers[0].send('PUT', '/api/folders/inbox', { token })
  return {
    servers,
    token,
    share: (terms: object) => createLink(servers[0], { token }, { name: 'inbox', kind: 'upload', ...terms }),
    recordOf: async ({ id }: CreatedLink) => (await servers[0].send('GET', `/api/links/${id}`, { token })).json
  }
}

/** How many of the uploads were taken; the others must be refused by a limit of the link, or of the number at once. */
function countTaken (t: Test, answers: readonly Answer[]): number {
  const refusals = answers.filter(({ status }) => status >= 300).map(({ status, json }) => `${status} ${json.code}`)
  t.strictSame(refusals.filter(text => !['413 link_limit_reached', '429 too_many_uploads'].includes(text)), [])
  return answers.length - refusals.length
}

test('of 32 uploads at once over three servers, a link takes exactly what it may', { timeout: 600_000 }, async t => {
  const { servers, token, share, recordOf } = await startThree(t)
  const send = (link: CreatedLink, upload: Upload, bytes: string) =>
    Promise.all(Array.from({ length: UPLOADS }, (_, index) =>
      upload(servers[index % servers.length] as Client, link.path, bytes)))
  let files = 0
  for (let round = 0; round < ROUNDS; round++) {
    for (const [what, upload] of Object.entries(ways)) {
      const few = await share({ maxFiles: MAX_FILES })
      t.equal(countTaken(t, await send(few, upload, '1234567890')), MAX_FILES, `${what}: files`)
      t.match(await recordOf(few), { usedFiles: MAX_FILES, usedBytes: 10 * MAX_FILES }, what)

      const small = await share({ maxBytes: 39 })
      const taken = countTaken(t, await send(small, upload, '1234567890'))
      t.ok(taken > 0 && taken <= 3, `${what}: ${taken} files of 10 bytes in 39`)
      t.match(await recordOf(small), { usedFiles: taken, usedBytes: 10 * taken }, what)
      files += MAX_FILES + taken
      for (const { id } of [few, small]) await servers[0].send('DELETE', `/api/links/${id}`, { token })
    }
  }
  t.equal((await namesOf(servers[0], { token })).length, files)
  t.match((await servers[0].send('GET', '/api/account', { token })).json.usage, { files, bytes: 10 * files, uploadBytes: 0 })
})
