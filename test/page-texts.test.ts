import { test } from 'tap'
import { failures } from '#src/problems.ts'
import { languages, readTexts, type Language } from './kit/page-texts.ts'

/** What only programs can cause. The page tells these by their code alone. */
const OF_PROGRAMS = [
  'malformed_request', 'malformed_url', 'malformed_json', 'malformed_xml', 'user_unknown', 'token_needed', 'malformed_multipart', 'file_missing', 'file_unexpected', 'partial_upload', 'digest_malformed',
  'content_range_invalid', 'upload_header_invalid', 'upload_length_inconsistent', 'upload_completed', 'credentials_malformed', 'token_required', 'token_malformed', 'insufficient_scope', 'depth_infinite',
  'place_forbidden', 'method_not_allowed', 'lock_token_mismatch', 'tus_version_unsupported', 'upload_protocol_missing', 'body_too_large', 'unsupported_media_type', 'content_encoding_unsupported',
  'range_not_satisfiable', 'too_many_locks', 'head_too_large', 'foreign_destination', 'properties_too_large', 'precondition_required',
  'thumbnail_unsupported', 'too_many_connections'
]

/** What the page of a link has words of its own for: src/page/link/refusal.tsx. */
const OF_LINKS = ['link_password_required', 'link_password_wrong', 'too_many_passwords']

/** The texts that match. */
function like (texts: Map<string, string>, pattern: RegExp): string[] {
  return Array.from(texts).filter(([, text]) => pattern.test(text)).map(([path, text]) => `${path}: ${text}`)
}

for (const language of Object.keys(languages) as Language[]) {
  test(`no text is empty in ${language}, and each number has the plural forms of the language`, async t => {
    const { texts, forms } = readTexts(language)
    t.same(like(texts, /^$|undefined|object|NaN|'|\.\.\.| {2}/), [])
    const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories.sort().join()
    t.same(forms.filter(given => Object.keys(given).sort().join() !== categories), [])
    t.ok(forms.length > 10)
  })

  test(`each failure that the page can meet has words in ${language}`, async t => {
    const tools = { visible: String, number: String, plural: () => '', provider: '' }
    const { problems, refused } = languages[language].page(tools)
    const { problems: later, identities } = languages[language].later(tools)
    const known = { ...problems, ...later, ...identities.refusals }
    t.same(Object.keys(failures).filter(code => !(code in known)).sort(), [...OF_PROGRAMS, ...OF_LINKS].sort())
    t.same(Object.keys(known).filter(code => !(code in failures)), [], 'no words for codes that do not exist')
    t.match(refused('malformed_json'), /malformed_json/)
  })
}

test('German has its quotes, French its quotes and narrow spaces, and few texts are those of English', async t => {
  const [english, german, french] = [readTexts('en').texts, readTexts('de').texts, readTexts('fr').texts]
  t.same(like(german, /["”]|[^ ]…/), [])
  t.same(like(french, /["“”„]|[^\u202F][!?;»](?!\w)|[^\u202F\d]:(?!\/)|«(?!\u202F)/), [])
  for (const texts of [german, french]) {
    const same = Array.from(texts).filter(([path, text]) => english.get(path) === text && /\p{L}{3}/u.test(text))
    t.ok(same.length < 60, `${same.length} are the same`, { same })
  }
})
