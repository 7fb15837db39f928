/** How a file can be shown. */
export type Kind = 'image' | 'audio' | 'video' | 'pdf' | 'text' | 'other'

/** Subtypes of `application` that are text: source code, data and markup. */
const TEXT_SUBTYPES = 'json|x?html|xml|javascript|ecmascript|x-sh|x-httpd-php|sql|toml|yaml|x-yaml|rtf|x-tex|graphql'

const TEXT_TYPE = new RegExp(`^(?:text/|application/(?:${TEXT_SUBTYPES})\\b|[^;]+\\+(?:json|xml|yaml)\\b)`, 'i')

/** Endings of names of text files, for files whose type the uploader did not know. */
const TEXT_ENDINGS = 'txt|md|markdown|csv|tsv|log|json|ya?ml|toml|ini|conf|env|xml|html?|css|[cm]?[jt]sx?|py|rb|go|' +
  'rs|java|kt|c|h|cc|cpp|hpp|cs|php|sh|bash|ps1|bat|sql|tex|diff|patch|srt|vtt'

const TEXT_ENDING = new RegExp(`\\.(?:${TEXT_ENDINGS})$`, 'i')

const UNKNOWN_TYPE = 'application/octet-stream'

/** Endings of raw files of the TIFF kind, whose types not every system knows. */
const RAW_ENDING = /\.(?:3fr|arw|cr2|dng|nef|nrw|orf|pef|rw2|sr[2w])$/i

/** Whether a file has what the sensor of a camera measured. Browsers do not show it. */
export function isRaw ({ name }: { name: string }): boolean {
  return RAW_ENDING.test(name)
}

export function kindOf ({ name, type }: { name: string, type: string }): Kind {
  const [, family = ''] = /^(image|audio|video)\//i.exec(type) ?? []
  if (family !== '') return family.toLowerCase() as Kind
  if (/^application\/pdf\b/i.test(type)) return 'pdf'
  if (TEXT_TYPE.test(type)) return 'text'
  if (type !== UNKNOWN_TYPE) return 'other'
  if (isRaw({ name })) return 'image'
  return TEXT_ENDING.test(name) ? 'text' : 'other'
}

/** The kinds, and others that have no preview, but a colour. */
export type Look = Kind | 'archive' | 'document' | 'sheet'

const LOOKS: readonly (readonly [look: Look, type: RegExp])[] = [
  ['archive', /\b(?:zip|gzip|x-tar|x-7z-compressed|x-rar|vnd\.rar|x-bzip2?|x-xz|zstd|x-compress)/i],
  ['sheet', /spreadsheet|ms-excel|\bcsv\b|tab-separated/i],
  ['document', /wordprocessing|msword|opendocument\.text|presentation|ms-powerpoint|epub|\brtf\b/i]
]

export function lookOf (file: { name: string, type: string }): Look {
  return LOOKS.find(([, type]) => type.test(file.type))?.[0] ?? kindOf(file)
}
