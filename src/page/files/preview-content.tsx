import { useEffect, useState } from 'preact/hooks'
import { formatSize } from '../format.ts'
import { ProblemText } from '../problem.tsx'
import { texts } from '../texts.ts'
import { bytesAddress } from '../worker-link.ts'
import { readBytes, type Bytes } from './downloads.ts'
import { kindOf, type Kind } from './kinds.ts'

export interface Content extends Bytes { readonly type: string }

/** The beginning of a text that is shown. */
const TEXT_BYTES = 256 * 1024

/** Within its first bytes, a PDF says that it is one. */
const PDF_MARK = '%PDF-'
const PDF_MARK_BYTES = 1024

/** Without the service worker, what is shown must fit into memory. */
const MAX_MEMORY_BYTES = 100 * 1000 ** 2

/**
 * Shows the bytes of a file. Markup is shown as text and SVG only in an image, so that nothing in a file can run. The bytes of a wrong
 * type can't run either: images and media are not parsed as documents, and the server forbids browsers to guess the type.
 */
export function PreviewContent ({ content }: { content: Content }) {
  const [failure, setFailure] = useState<{ error?: unknown } | undefined>()
  const kind = shownKind(content)
  // An element does not tell why it has no bytes. If the server refuses them, it says so once more.
  const explain = () => { readBytes(content, 1).then(() => setFailure({}), (error: unknown) => setFailure({ error })) }
  if (failure?.error !== undefined) return <ProblemText error={failure.error} />
  if (failure !== undefined || kind === 'other') return <p class='no-preview muted'>{failure ? texts.files.brokenPreview : texts.files.noPreview}</p>
  if (kind === 'text') return <TextPreview content={content} />
  if (kind === 'pdf') return <PdfPreview content={content} onFail={() => setFailure({})} />
  return <MediaPreview content={content} kind={kind} onFail={explain} />
}

function shownKind (content: Content): Kind {
  const kind = kindOf(content)
  const hasWorker = bytesAddress(content) !== undefined
  if (kind === 'pdf') return navigator.pdfViewerEnabled && hasWorker ? 'pdf' : 'other'
  return kind === 'text' || hasWorker || content.size <= MAX_MEMORY_BYTES ? kind : 'other'
}

interface MediaPreviewProps { content: Content, kind: 'image' | 'audio' | 'video', onFail: () => void }

function MediaPreview ({ content, kind, onFail }: MediaPreviewProps) {
  const { address, error } = useAddress(content)
  const { name } = content
  if (error !== undefined) return <ProblemText error={error} />
  if (address === undefined) return <p class='muted' role='status'>{texts.loading}</p>
  switch (kind) {
    case 'image': return <img class='shown' src={address} alt={name} onError={onFail} />
    case 'audio': return <audio class='shown' src={address} controls aria-label={name} onError={onFail} />
    case 'video': return <video class='shown' src={address} controls playsInline aria-label={name} onError={onFail} />
  }
}

/** In the browser's viewer, which would take the focus to complain of other bytes: they are not given to it. */
function PdfPreview ({ content, onFail }: { content: Content, onFail: () => void }) {
  const [isPdf, setPdf] = useState(false)
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    const running = new AbortController()
    readBytes(content, PDF_MARK_BYTES, running.signal).then(bytes => bytes.text()).then(
      text => text.includes(PDF_MARK) ? setPdf(true) : onFail(),
      (failure: unknown) => { if (!running.signal.aborted) setError(failure) }
    )
    return () => running.abort()
  }, [])
  if (error !== undefined) return <ProblemText error={error} />
  if (!isPdf) return <p class='muted' role='status'>{texts.loading}</p>
  return <iframe class='shown' src={bytesAddress({ ...content, disposition: 'inline' })} title={content.name} />
}

/** The address of the bytes: at the service worker, or in memory. */
function useAddress (content: Content): { address?: string | undefined, error?: unknown } {
  const [loaded, setLoaded] = useState<{ address?: string, error?: unknown }>({})
  const address = bytesAddress(content)
  useEffect(() => {
    if (address !== undefined) return
    const running = new AbortController()
    let url: string | undefined
    readBytes(content, content.size, running.signal).then(
      bytes => { if (!running.signal.aborted) setLoaded({ address: url = URL.createObjectURL(bytes) }) },
      (error: unknown) => { if (!running.signal.aborted) setLoaded({ error }) }
    )
    return () => {
      running.abort()
      if (url !== undefined) URL.revokeObjectURL(url)
    }
  }, [])
  return address === undefined ? loaded : { address }
}

function TextPreview ({ content }: { content: Content }) {
  const [{ text, error }, setLoaded] = useState<{ text?: string, error?: unknown }>({})
  useEffect(() => {
    const running = new AbortController()
    readBytes(content, TEXT_BYTES, running.signal).then(bytes => decoded(bytes, content.type)).then(
      text => setLoaded({ text }),
      (error: unknown) => { if (!running.signal.aborted) setLoaded({ error }) }
    )
    return () => running.abort()
  }, [])
  if (error !== undefined) return <ProblemText error={error} />
  if (text === undefined) return <p class='muted' role='status'>{texts.loading}</p>
  return (
    <>
      {content.size > TEXT_BYTES && <p class='muted'>{texts.files.cut(formatSize(TEXT_BYTES), formatSize(content.size))}</p>}
      <pre class='shown' tabIndex={0} role='region' aria-label={content.name} dir='auto'>{text}</pre>
    </>
  )
}

/** In the charset of the type or of the byte order mark. What it can't decode is replaced. */
async function decoded (bytes: Blob, type: string): Promise<string> {
  const buffer = new Uint8Array(await bytes.arrayBuffer())
  const [, charset = markOf(buffer)] = /;\s*charset="?([^\s";]+)/i.exec(type) ?? []
  try {
    return new TextDecoder(charset).decode(buffer)
  } catch {
    // An unknown charset is a RangeError.
    return new TextDecoder().decode(buffer)
  }
}

function markOf ([first, second]: Uint8Array): string {
  if (first === 0xFF && second === 0xFE) return 'utf-16le'
  return first === 0xFE && second === 0xFF ? 'utf-16be' : 'utf-8'
}
