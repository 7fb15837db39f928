import fc from 'fast-check'
import t from 'tap'
import { lockInfoOf, MAX_ELEMENT_BYTES, propfindOf, proppatchOf } from '#src/webdav/bodies.ts'
import { lockDiscovery } from '#src/webdav/lock-xml.ts'
import { MULTISTATUS_END, PropertyElements, propstat, response } from '#src/webdav/multistatus.ts'
import { escapeXml, parseXml, standalone, type XmlElement } from '#src/webdav/xml.ts'
import { SEED } from './kit/random.ts'
import { isProof, KIB } from './kit/sizes.ts'

const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace'

const parse = (text: string) => parseXml(Buffer.from(text))

/** What XML says, without its prefixes. Text is joined, as white space around elements is part of it. */
interface Plain { namespace: string, name: string, text: string, language: string | undefined, children: Plain[] }

function plain ({ namespace, name, text, children, ...element }: XmlElement): Plain {
  let language = element.language
  for (let outer = element.parent; outer !== undefined; outer = outer.parent) language ??= outer.language
  return { namespace, name, text, language, children: children.map(plain) }
}

/** The only element in a document, on its own. */
const alone = (text: string, maxBytes = MAX_ELEMENT_BYTES) => {
  const [child] = parse(text).children
  return child && standalone(child, maxBytes)
}

/** A document of `depth` elements in one another. */
const nested = (depth: number) => '<a>'.repeat(depth) + '</a>'.repeat(depth)

/** As large as a body may be. */
const fill = (text: string) => text.repeat(64 * KIB / text.length)

const hostile: [title: string, document: string | Buffer][] = [
  ['nothing but white space', ' \n'],
  ['two roots', '<a/><b/>'],
  ['an end without a beginning', '</a>'],
  ['no end', '<a><b></b>'],
  ['an open CDATA section', '<a><![CDATA[</a>'],
  ['an attribute twice by its namespace', '<a xmlns:p="x" xmlns:q="x" p:b="1" q:b="2"/>'],
  ['a prefix that is not declared', '<p:a/>'],
  ['a prefix for no namespace in XML 1.1', '<?xml version="1.1"?><a xmlns:p=""/>'],
  ['a local name that begins with a digit', '<p:1 xmlns:p="x"/>'],
  ['a local name that begins with a combining character', '<p:\u0301 xmlns:p="x"/>'],
  ['a prefix that begins with a digit', '<a xmlns:1p="x"/>'],
  ['an entity that is not declared', '<a>&b;</a>'],
  ['an entity in an attribute', '<a b="&c;"/>'],
  ['a DOCTYPE', '<!DOCTYPE a><a/>'],
  ['an external entity', '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'],
  ['an entity bomb', `<!DOCTYPE a [<!ENTITY b0 "b">${Array.from({ length: 30 }, (_, level) => `<!ENTITY b${level + 1} "&b${level};&b${level};">`).join('')}]><a>&b30;</a>`],
  ['a DOCTYPE that does not end', `<!DOCTYPE a [${fill('<!ELEMENT a ANY>')}`],
  ['a reference to a control character in XML 1.1', '<?xml version="1.1"?><a>&#1;</a>'],
  ['a reference to a surrogate', '<a>&#xD800;</a>'],
  ['a control character', '<a>\u0001</a>'],
  ['another encoding', '<?xml version="1.0" encoding="ISO-8859-1"?><a/>'],
  ['bytes that are not UTF-8', Buffer.from('<a>\xE9</a>', 'latin1')],
  ['a surrogate in UTF-8', Buffer.from('3c613eeda0803c2f613e', 'hex')],
  ['a surrogate in UTF-16', Buffer.from('\uFEFF<a>\uD800</a>', 'utf16le')],
  ['half a character of UTF-16', Buffer.from('\uFEFF<a/>\n', 'utf16le').subarray(0, -1)],
  ['33 elements in one another', nested(33)],
  ['501 elements', `<a>${'<b/>'.repeat(500)}</a>`],
  ['501 attributes', `<a>${Array.from({ length: 167 }, () => '<b c="" d="" e=""/>').join('')}</a>`],
  ['201 namespaces', `<a>${Array.from({ length: 201 }, (_, index) => `<b xmlns="${index}"/>`).join('')}</a>`],
  ['thousands of elements in one another', fill('<a>')],
  ['thousands of elements', `<a>${fill('<b/>').slice(4)}`],
  ['thousands of attributes', `<a ${Array.from({ length: 5000 }, (_, index) => `b${index}=""`).join(' ')} b0=""/>`],
  ['thousands of prefixes', `<a ${Array.from({ length: 3000 }, (_, index) => `xmlns:b${index}="c"`).join(' ')}><b`],
  ['thousands of references', `<a>${fill('&lt;')}`],
  ['thousands of processing instructions', `<a>${fill('<?b?>')}`],
  ['thousands of line ends', `<a>${fill('\r')}`],
  ['one long name', `<${fill('a')}`],
  ['one long entity', `<a>&${fill('b')};</a>`],
  ['thousands of brackets', `<a><![CDATA[${fill(']')}`]
]

t.test('XML that is malformed, too deep or too large is refused', async t => {
  for (const [title, document] of hostile) t.throws(() => parseXml(Buffer.from(document)), { code: 'malformed_xml' }, title)
})

if (isProof) {
  t.test('none of it takes long, whatever the compiler and the collector of garbage do meanwhile', async t => {
    for (const [title, document] of hostile) {
      const bytes = Buffer.from(document)
      const times = Array.from({ length: 10 }, () => {
        const before = process.cpuUsage()
        t.throws(() => parseXml(bytes))
        const { user, system } = process.cpuUsage(before)
        return (user + system) / 1000
      })
      t.ok(Math.min(...times) < 40, `${title}: ${times} ms of CPU`)
    }
  })
}

t.test('a refusal says where, and quotes only little of the body', async t => {
  t.throws(() => parse('<a>\n<b></a>'), { message: /^The XML is malformed: 2:\d+: / })
  t.throws(() => parse(`<${'a'.repeat(KIB)}>`), { message: /^.{1,300}$/ })
})

t.test('any bytes are XML or refused', async t => {
  const bytes = fc.oneof(fc.uint8Array(), fc.string({ unit: 'binary' }), fc.stringMatching(/^(?:<|>|\/|a|:|&|;|"|=| |!\[CDATA\[|\]\]|xmlns|-)*$/))
  fc.assert(fc.property(bytes, document => {
    try {
      parseXml(Buffer.from(document as string))
    } catch (error) {
      t.equal((error as { code: string }).code, 'malformed_xml')
    }
  }), { seed: SEED })
})

t.test('a document in UTF-8 or UTF-16 is read, with and without a declaration', async t => {
  const text = '<?xml version="1.0" encoding="utf-16"?>\r\n<a xmlns="x">é\u{1F600}\r\n\r</a>\n'
  const little = Buffer.from(`\uFEFF${text}`, 'utf16le')
  for (const bytes of [Buffer.from(text), Buffer.from(`\uFEFF${text}`), little, Buffer.from(little).swap16()]) {
    t.match(parseXml(bytes), { namespace: 'x', name: 'a', text: 'é\u{1F600}\n\n' })
  }
  t.match(parse('<a/>'), { namespace: '', name: 'a', text: '', children: [] })
  t.match(parse('<?xml version="1.0" encoding="UTF-8" standalone="yes"?><!-- b --><?c?><a/><?c?>'), { name: 'a' })
  t.match(parse(nested(32)), { name: 'a' })
  t.equal(parse(`<a>${'<b/>'.repeat(499)}</a>`).children.length, 499)
})

t.test('text is that of references and CDATA sections, without comments and processing instructions', async t => {
  const [child] = parse('<a><b>1<!-- 2 -->&lt;&#x33;<![CDATA[<4]]><?p 6?>7<c>8</c>9</b></a>').children
  t.match(child, { text: '1<3<479', children: [{ name: 'c', text: '8' }] })
})

t.test('an element stands alone with the namespaces and the language in its scope', async t => {
  for (const [document, expected] of [
    ['<a><b/></a>', '<b/>'],
    ['<a xmlns="x"><b c="&quot;"/></a>', '<b xmlns="x" c="&quot;"/>'],
    ['<a xmlns="x"><b xmlns=""/></a>', '<b xmlns=""/>'],
    ['<a xmlns:p="x" xmlns:q="&amp;&quot;"><p:b\n>q:c</p:b></a>', '<p:b xmlns:p="x" xmlns:q="&amp;&quot;"\n>q:c</p:b>'],
    ['<a xmlns:p="x"><p:b xmlns:p="y" xmlns:q="z"><q:c/></p:b></a>', '<p:b xmlns:p="y" xmlns:q="z"><q:c/></p:b>'],
    ['<a xml:lang="de"><b/></a>', '<b xml:lang="de"/>'],
    ['<a xml:lang="de"><b xml:lang="en"/></a>', '<b xml:lang="en"/>'],
    ['<a><b>\r\n<!-- c --><![CDATA[<]]><?d?>\u{1F600}</b ></a>', '<b>\n<!-- c --><![CDATA[<]]><?d?>\u{1F600}</b >'],
    [`<a xmlns:xml="${XML_NAMESPACE}"><xml:b/></a>`, `<xml:b xmlns:xml="${XML_NAMESPACE}"/>`]
  ] as const) t.equal(alone(document), expected, document)
})

t.test('an element that would be too large alone is not made', async t => {
  t.equal(alone('<a><b>é</b></a>', 9), '<b>é</b>')
  t.equal(alone('<a><b>é</b></a>', 8), undefined, 'counted in bytes')
  t.equal(alone('<a><b>12</b></a>', 8), undefined)
  t.equal(alone('<a xmlns="x"><b/></a>', 14), '<b xmlns="x"/>')
  t.equal(alone('<a xmlns="x"><b/></a>', 13), undefined, 'with the namespaces')
  const prefixes = Array.from({ length: 150 }, (_, index) => `xmlns:b${index}="c"`).join(' ')
  const root = parse(`<a ${prefixes}>${'<b/>'.repeat(400)}</a>`)
  t.ok(root.children.every(child => standalone(child, 100) === undefined))
})

/** The text with only characters that XML has. */
const legal = (text: string) => text.toWellFormed().replace(/(?![\t\n\r\x7F-\x9F])\p{Cc}|[\uFFFE\uFFFF]/gu, '\uFFFD')

interface Drawn { namespace: string, name: string, text: string, language: string | undefined, children: Drawn[] }

const { element: drawn } = fc.letrec<{ element: Drawn }>(tie => ({
  element: fc.record({
    namespace: fc.constantFrom('', 'DAV:', 'x', '"&<>\'é'),
    name: fc.constantFrom('a', 'b1', 'é-', '_.'),
    text: fc.string({ unit: 'binary' }).map(legal),
    language: fc.option(fc.constantFrom('de', 'en-GB', ''), { nil: undefined }),
    children: fc.oneof({ depthSize: 'small' }, fc.constant<Drawn[]>([]), fc.array(tie('element'), { maxLength: 3 }))
  })
}))

/** The XML of an element. Namespaces are declared as prefixes or as the default one. */
function write ({ namespace, name, text, language, children }: Drawn, hasPrefix: boolean): string {
  const prefix = hasPrefix && namespace !== '' ? 'p' : ''
  const tag = prefix === '' ? name : `p:${name}`
  const declaration = ` xmlns${prefix === '' ? '' : ':p'}="${escapeXml(namespace)}"`
  const lang = language === undefined ? '' : ` xml:lang="${language}"`
  return `<${tag}${declaration}${lang}>${escapeXml(text)}${children.map(child => write(child, !hasPrefix)).join('')}</${tag}>`
}

t.test('an element that stands alone says what it said in its document', async t => {
  fc.assert(fc.property(drawn, fc.boolean(), (root, hasPrefix) => {
    const document = parse(write(root, hasPrefix))
    const said = ({ namespace, name, text }: Drawn) => ({ namespace, name, text })
    t.strictSame(document.children.map(plain).map(said), root.children.map(said))
    for (const child of document.children) t.strictSame(plain(parse(standalone(child, Infinity) ?? '')), plain(child))
  }), { seed: SEED })
})

t.test('any text can be written, and is read as it was but for characters that XML does not have', async t => {
  t.equal(escapeXml('a<b>&"\'\t\n\r\0\uFFFE\uD800é\u{1F600}'), 'a&lt;b&gt;&amp;&quot;\'&#9;&#10;&#13;\uFFFD\uFFFD\uFFFDé\u{1F600}')
  fc.assert(fc.property(fc.string({ unit: 'binary' }), text => {
    const { text: read, children: [child] } = parse(`<a>${escapeXml(text)}<b xml:lang="${escapeXml(text)}"/></a>`)
    t.strictSame([read, child?.language], [legal(text), legal(text)])
  }), { seed: SEED })
})

const D = 'xmlns:D="DAV:"'

t.test('the body of PROPFIND is which properties are asked for', async t => {
  t.strictSame(propfindOf(undefined), { form: 'allprop', names: [] })
  for (const [content, form, expected] of [
    ['<D:allprop/>', 'allprop', []],
    ['<D:allprop/><D:include><D:a/><b/></D:include>', 'allprop', ['DAV: a', ' b']],
    ['<D:propname/>', 'propname', []],
    ['<D:prop/>', 'prop', []],
    ['<x:y xmlns:x="z"/><prop/><D:prop><D:a/><b xmlns="c"/></D:prop>', 'prop', ['DAV: a', 'c b']]
  ] as const) {
    const query = propfindOf(parse(`<D:propfind ${D}>${content}</D:propfind>`))
    t.strictSame([query.form, query.names.map(({ namespace, name }) => `${namespace} ${name}`)], [form, expected], content)
  }
  for (const body of ['<propfind><prop/></propfind>', `<D:prop ${D}/>`, `<D:propfind ${D}/>`, `<D:propfind ${D}><prop/></D:propfind>`]) {
    t.throws(() => propfindOf(parse(body)), { code: 'malformed_request' }, body)
  }
})

t.test('the body of PROPPATCH is what to set and to remove, in its order', async t => {
  const changes = proppatchOf(parse(`<D:propertyupdate ${D}>
    <D:remove><D:prop><a/></D:prop></D:remove><D:set><x/><D:prop><a>1</a><b/></D:prop></D:set><D:y/><D:remove><D:prop><c/></D:prop></D:remove><D:set/>
  </D:propertyupdate>`))
  t.strictSame(changes.map(({ element, isRemoval }) => [element.name, isRemoval]), [['a', true], ['a', false], ['b', false], ['c', true]])
  for (const body of ['<propertyupdate/>', `<D:propertyupdate ${D}/>`, `<D:propertyupdate ${D}><D:set><D:prop/></D:set></D:propertyupdate>`]) {
    t.throws(() => proppatchOf(parse(body)), { code: 'malformed_request' }, body)
  }
  t.throws(() => proppatchOf(undefined), { code: 'malformed_request' })
})

t.test('the body of LOCK is what lock is wanted, and for whom', async t => {
  const lockInfo = (content: string) => lockInfoOf(parse(`<D:lockinfo ${D}>${content}</D:lockinfo>`))
  const scope = (name: string) => `<D:lockscope><D:${name}/></D:lockscope>`
  const write = '<D:locktype><D:write/></D:locktype>'
  t.strictSame(lockInfo(scope('exclusive') + write), { isExclusive: true, owner: null })
  t.strictSame(lockInfo(`${write}<D:owner>me</D:owner>${scope('shared')}`), { isExclusive: false, owner: `<D:owner ${D}>me</D:owner>` })
  for (const content of ['', write, scope('exclusive'), scope('other') + write, `${scope('shared')}<D:locktype/>`]) {
    t.throws(() => lockInfo(content), { code: 'malformed_request' }, content)
  }
  t.throws(() => lockInfo(`${write}${scope('shared')}<D:owner>${'a'.repeat(MAX_ELEMENT_BYTES)}</D:owner>`), { code: 'body_too_large' })
  t.throws(() => lockInfoOf(undefined), { code: 'malformed_request' })
})

t.test('names of properties are written with few declarations', async t => {
  const properties = [
    { namespace: 'DAV:', name: 'a' }, { namespace: '', name: 'b' }, { namespace: 'x"', name: 'c' }, { namespace: 'x"', name: 'd' },
    { namespace: XML_NAMESPACE, name: 'e' }, { namespace: 'y', name: 'f' }
  ]
  const elements = new PropertyElements(properties)
  const other = { namespace: 'other', name: 'g' }
  const content = propstat(403, [...properties, other].map(name => elements.element(name, '1')).join(''), 'some-condition')
  const document = elements.begin + response('/a&b', content) + MULTISTATUS_END
  t.equal(document.match(/x&quot;/g)?.length, 1)
  const [found] = parse(document).children
  t.match(found?.children[0], { namespace: 'DAV:', name: 'href', text: '/a&b' })
  const [prop, status, error] = found?.children[1]?.children ?? []
  t.match(prop?.children, [...properties, other].map(name => ({ ...name, text: '1' })))
  t.match(status, { name: 'status', text: 'HTTP/1.1 403 Forbidden' })
  t.match(error, { name: 'error', children: [{ name: 'some-condition' }] })
  t.equal(elements.element({ namespace: '', name: 'b' }), '<b/>')
})

t.test('the answer to LOCK says all of a lock', async t => {
  const root = { path: 'a&b', isFolder: true, isDeep: true }
  const lock = { token: 'urn:uuid:1', ...root, isExclusive: true, owner: null, seconds: 60, expiresAt: Date.now() + 59_500 }
  const owner = '<o:owner xmlns:o="DAV:">me</o:owner>'
  const shared = { ...lock, isFolder: false, isDeep: false, isExclusive: false, owner, expiresAt: 0 }
  const others = [shared, { ...lock, expiresAt: Infinity }]
  const document = parse(lockDiscovery([lock, ...others], path => `/dav/${path}`))
  t.match(document, { namespace: 'DAV:', name: 'prop' })
  const described = document.children[0]?.children.map(({ children }) => children.map(({ name, text, children: [child] }) => `${name} ${child?.name ?? ''}${child?.text ?? ''}${text}`))
  t.strictSame(described, [
    ['locktype write', 'lockscope exclusive', 'depth infinity', 'timeout Second-60', 'locktoken hrefurn:uuid:1', 'lockroot href/dav/a&b/'],
    ['locktype write', 'lockscope shared', 'depth 0', 'owner me', 'timeout Second-0', 'locktoken hrefurn:uuid:1', 'lockroot href/dav/a&b'],
    ['locktype write', 'lockscope exclusive', 'depth infinity', 'timeout Second-60', 'locktoken hrefurn:uuid:1', 'lockroot href/dav/a&b/']
  ])
})
