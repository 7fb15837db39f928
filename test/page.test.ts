import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync, gunzipSync } from 'node:zlib'
import t from 'tap'
import { findPage } from '#src/http/page.ts'
import { root } from './kit/root.ts'
import { sharedServer, type Answer, type Client } from './kit/server.ts'

/** The page that the build made. These tests do not depend on its content. */
const folder = join(root, 'dist/page')
const bytesOf = (path: string) => readFileSync(join(folder, path))
const built = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  .map(entry => join(entry.parentPath, entry.name).slice(folder.length))
const paths = built.filter(path => !/\.(?:br|gz)$/.test(path) && !path.endsWith('.html'))
const assets = paths.filter(path => path.startsWith('/assets/'))

const types: Record<string, RegExp> = {
  '.js': /^(?:text|application)\/javascript\b/,
  '.css': /^text\/css\b/,
  '.svg': /^image\/svg[+]xml\b/,
  '.png': /^image\/png$/,
  '.webmanifest': /^application\/manifest[+]json\b/
}

const POLICY = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob: data:", "media-src 'self' blob:", "frame-src 'self'", "connect-src 'self'",
  "worker-src 'self'", "manifest-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", 'trusted-types magicstore'
]

const visit = (client: Client, method = 'GET') => client.send(method, '/', { headers: { accept: 'text/html' } })

/** The headers that do not differ from one response to the next. */
function lastingHeaders ({ headers }: Answer): object {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(?:date|x-request-id|ratelimit-|connection|keep-alive)/.test(name)))
}

t.test('a browser gets the page at /, whose policy allows only what it needs', async t => {
  const server = await sharedServer()
  const answer = await visit(server)
  t.equal(answer.status, 200)
  const settings = '<html lang="en" data-registration="open" data-links="off" data-link-max-days="30" data-trash="on" data-passkey-host="localhost" data-oidc="" data-oidc-url="">'
  t.equal(answer.text, bytesOf('index.html').toString().replace(/<html [^>]*>/, settings))
  t.strictSame(String(answer.headers['content-security-policy']).split(';'), POLICY)
  t.match(answer.headers, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    vary: 'Accept',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
    'x-frame-options': 'DENY'
  })
  t.equal(answer.headers['set-cookie'], undefined)
  t.equal(answer.headers['strict-transport-security'], undefined)
  const head = await visit(server, 'HEAD')
  t.equal(head.bytes.length, 0)
  t.strictSame(lastingHeaders(head), lastingHeaders(answer))
})

t.test('a program gets the service information, without the headers of the page', async t => {
  const server = await sharedServer()
  const answer = await server.send('GET', '/')
  t.match(answer, { status: 200, json: { name: 'MagicStore' } })
  t.strictSame(lastingHeaders(answer), {
    vary: 'Accept',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(answer.bytes.length)
  })
})

t.test('the page knows whether registration is open, whether there are links and how long they last, and whether deleted files are kept', async t => {
  const { text } = await visit(await sharedServer({ REGISTRATION: 'closed', LINKS: 'on', LINK_MAX_DAYS: '7', KEEP_DAYS: '0' }))
  t.match(text, 'data-registration="closed" data-links="on" data-link-max-days="7" data-trash="off" data-passkey-host="localhost" data-oidc="" data-oidc-url=""')
})

t.test('the page knows the name of the identity provider, the address to which it sends people back, and that only identities register', async t => {
  const settings = { OIDC_ISSUER: 'https://id.example.org', OIDC_CLIENT_ID: 'x', OIDC_ALLOW: 'groups=staff', PUBLIC_URL: 'https://files.example.org/store' }
  for (const [name, shown] of [['Our house', 'Our house'], ['', 'id.example.org']]) {
    const { text } = await visit(await sharedServer({ ...settings, OIDC_NAME: String(name) }))
    t.match(text, `data-passkey-host="files.example.org" data-oidc="${shown}" data-oidc-url="https://files.example.org/store/"`)
    t.match(text, 'data-registration="oidc"')
  }
})

t.test('the page loads only files of this server, and has no inline script or style', async t => {
  const server = await sharedServer()
  const { text } = await visit(server)
  const loaded = Array.from(text.matchAll(/(?:src|href)="([^"]*)"/g), ([, path]) => new URL(String(path), `${server.url}/`))
  t.ok(loaded.length > 1)
  for (const { origin, pathname } of loaded) {
    t.equal(origin, server.url)
    t.equal((await server.send('GET', pathname)).status, 200, pathname)
  }
  t.notMatch(text, /<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)/i)
})

t.test('every file of the page is served as it was built, compressed if the client accepts that, and cached for a year if its name has a hash', async t => {
  const server = await sharedServer()
  t.ok(assets.length > 1)
  t.ok(paths.includes('/service-worker.js'))
  for (const path of paths) {
    const variants: [accepted: string | undefined, encoding: string | undefined, decode: (bytes: Buffer) => Buffer][] =
      [
        [undefined, undefined, bytes => bytes],
        ['identity', undefined, bytes => bytes],
        ['br;q=0, gzip;q=0', undefined, bytes => bytes],
        ['gzip', 'gzip', gunzipSync],
        ['gzip, deflate, br, zstd', 'br', brotliDecompressSync]
      ]
    for (const [accepted, encoding, decode] of variants) {
      const headers = accepted === undefined ? {} : { 'accept-encoding': accepted }
      const answer = await server.send('GET', path, { headers })
      const message = `${path} as ${accepted}`
      t.equal(answer.status, 200, message)
      t.equal(answer.headers['content-encoding'], encoding, message)
      t.ok(decode(answer.bytes).equals(bytesOf(path)), `${message}: the same bytes`)
      t.equal(Number(answer.headers['content-length']), answer.bytes.length, message)
      t.match(answer.headers.vary, /accept-encoding/i, message)
      t.equal(answer.headers['cache-control'], path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache', message)
      t.equal(answer.headers['x-content-type-options'], 'nosniff', message)
      t.equal(answer.headers['set-cookie'], undefined, message)
      t.match(answer.headers['content-type'], types[extname(path)], message)
      const head = await server.send('HEAD', path, { headers })
      t.equal(head.bytes.length, 0, message)
      t.strictSame(lastingHeaders(head), lastingHeaders(answer), message)
    }
  }
  t.equal((await server.send('GET', '/service-worker.js')).headers['content-security-policy'], "default-src 'none'; connect-src 'self'")
  for (const path of assets) t.equal((await server.send('GET', path)).headers['content-security-policy'], "default-src 'none'", path)
})

const sizeOf = (path: string) => path.endsWith('.html') ? brotliCompressSync(bytesOf(path)).length : bytesOf(`${path}.br`).length

/** The files of the first view: the HTML, the scripts and styles that it names, and the largest texts. */
function firstViewOf (html: string): string[] {
  const text = bytesOf(html).toString()
  const texts = Array.from(text.matchAll(/ data-[a-z]{2}="(?:\.\.\/)?([^"]*)"/g), ([, path]) => String(path))
  const named = Array.from(text.matchAll(/<(?:script|link rel="(?:stylesheet|modulepreload)")[^>]* (?:src|href)="(?:\.\.\/)?([^"]*)"/g), ([, path]) => String(path))
  const [largest = ''] = texts.sort((a, b) => sizeOf(b) - sizeOf(a))
  return [html, ...named, largest]
}

t.test('the first view of the page is light', t => {
  for (const [html, most] of [['index.html', 60_000], ['link.html', 35_000]] as const) {
    const files = firstViewOf(html)
    t.ok(files.some(path => path.endsWith('.js')) && files.some(path => path.endsWith('.css')), 'scripts and styles')
    const bytes = files.reduce((sum, path) => sum + sizeOf(path), 0)
    t.comment(`${html}: ${bytes} bytes in ${files.length} files`)
    t.ok(bytes < most, `${html} has ${bytes} bytes, less than ${most}`, { files: files.map(path => [path, sizeOf(path)]) })
  }
  t.end()
})

t.test('without scripts, both pages say in each language that they need them', t => {
  for (const html of ['index.html', 'link.html']) {
    const [, shown = ''] = /<noscript>(.*)<\/noscript>/s.exec(bytesOf(html).toString()) ?? []
    for (const pattern of [/<p>[^<]*JavaScript/, /<p lang="de">[^<]*JavaScript/, /<p lang="fr">[^<]*JavaScript/]) t.match(shown, pattern, html)
  }
  t.end()
})

t.test('the service worker has no validators: all files of a package have the same date', async t => {
  const server = await sharedServer()
  const { headers } = await server.send('GET', '/service-worker.js')
  t.strictSame([headers.etag, headers['last-modified']], [undefined, undefined])
  for (const conditions of [{ 'if-none-match': 'W/"1-2"' }, { 'if-modified-since': new Date().toUTCString() }]) {
    t.equal((await server.send('GET', '/service-worker.js', { headers: conditions })).status, 200)
  }
})

t.test('the manifest names icons of the page, each of the size that it says', async t => {
  const server = await sharedServer()
  const { json: { icons, ...manifest } } = await server.send('GET', '/manifest.webmanifest')
  t.strictSame([manifest.start_url, manifest.scope, manifest.share_target.action], ['./', './', 'share'], 'in the folder of the page')
  t.strictSame(icons.map(({ sizes, purpose = 'any' }: Record<string, string>) => `${sizes} ${purpose}`), ['any any', '192x192 any', '512x512 any', '192x192 maskable', '512x512 maskable'])
  for (const { src, sizes, type } of icons) {
    const { headers, bytes } = await server.send('GET', `/${src}`)
    t.equal(headers['content-type'], type)
    if (type === 'image/png') t.equal(`${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`, sizes)
  }
})

t.test('no other path is served: no folder, no file outside, no other name of a file', async t => {
  const server = await sharedServer()
  const [asset = ''] = assets
  const name = asset.slice('/assets/'.length)
  const others = [
    '/assets', '/assets/', '/assets/.', '/assets/..', '/assets/../index.html', '/assets/%2e%2e/index.html', '/assets/..%2findex.html', '/assets/%2e%2e%2findex.html', '/assets/..%5cindex.html',
    '/assets/..\\index.html', '/assets/../../main.js', '/assets/../../../package.json', '/assets/%2e%2e/%2e%2e/%2e%2e/package.json', '/assets//etc/passwd', '/assets/%00', `/assets/${name}%00`,
    `/assets/./${name}`, `/assets//${name}`, `//assets/${name}`, `/assets/x/../${name}`, `/assets/${name}/`, `/assets/${name}/.`, `/assets/${name.toUpperCase()}`, `/ASSETS/${name}`, `${asset}.br`, `${asset}.gz`, `${asset}.map`,
    '/index.html', '/index.html.br', '/link.html', '/page/link.html', '/page', '/page/index.html', '/dist/page/index.html', '/service-worker.js.br', '/service-worker.js/', '/assets/.env', '/.env', '/assets/missing.js', '/main.js', '/manifest.webmanifest.br', '/share'
  ]
  for (const path of others) {
    const answer = await server.send('GET', path, { headers: { accept: 'text/html', 'accept-encoding': 'br' } })
    t.match({ status: answer.status, type: answer.headers['content-type'], cache: answer.headers['cache-control'] }, { status: 404, type: /^application\/problem\+json/, cache: 'no-store' }, path)
  }
  t.equal((await server.send('GET', `${asset}?a=../index.html`)).bytes.length, bytesOf(asset).length, 'a query has no meaning')
})

t.test('another method is 405 with Allow, and the limit on requests includes the page', async t => {
  const server = await sharedServer()
  for (const path of paths) {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const answer = await server.send(method, path)
      t.match({ status: answer.status, allow: answer.headers.allow }, { status: 405, allow: 'GET, HEAD' }, `${method} ${path}`)
    }
  }
  const limited = await sharedServer({ RATE_LIMIT_PER_MINUTE: '3' })
  const limitedPaths = ['/', '/service-worker.js', String(assets[0])]
  for (const status of [200, 429]) {
    for (const path of limitedPaths) t.equal((await limited.send('GET', path)).status, status, path)
  }
})

t.test('WEB_PAGE=off removes the page: a browser is redirected to /docs', async t => {
  const server = await sharedServer({ WEB_PAGE: 'off' })
  const home = await visit(server)
  t.match(home, { status: 302, headers: { location: '/docs', vary: 'Accept' } })
  t.equal((await server.send('GET', '/')).json.name, 'MagicStore')
  for (const path of paths) t.equal((await server.send('GET', path)).status, 404, path)
})

t.test('a checkout without a build has no page, and the log says so once', async t => {
  const warnings: unknown[] = []
  const log = { warn: (text: string) => { warnings.push(text) } } as Parameters<typeof findPage>[1]
  const settings = {
    hasWebPage: true, registration: 'open', hasLinks: false, linkMaxDays: 30, retentionPolicy: { milliseconds: 0, versions: 0 }, identityProvider: undefined, publicUrl: undefined, passkeyHost: undefined
  } as const
  t.equal(await findPage(settings, log, t.testdir()), undefined)
  t.equal(warnings.length, 1)
  t.equal(await findPage({ ...settings, hasWebPage: false }, log), undefined)
  t.equal(warnings.length, 1, 'no warning if it is off')
  await t.rejects(findPage(settings, log, join(folder, 'index.html')), { code: 'ENOTDIR' }, 'another error is not ignored')
})
