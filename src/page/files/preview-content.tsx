import { useEffect, useState } from 'preact/hooks'
import { formatSize } from '../format.ts'
import { ProblemText } from '../problem.tsx'
import { texts } from '../later-texts.ts'
import { mayNeedPicture, pictureOf, type ShownContent } from '../pictures/picture-of.ts'
import { useLoaded } from '../use-loaded.ts'
import { visibleName } from '../visible-name.ts'
import { bytesAddress } from '../worker-link.ts'
import { readBytes } from './downloads.ts'
import { kindOf } from './kinds.ts'
import { Media, type MediaKind } from './media.tsx'
import { PdfViewer } from './pdf-viewer.tsx'
import { decoded, ShownText, shownBytesOf } from './shown-text.tsx'

interface PreviewContentProps {
  content: ShownContent
  /** Where the bytes of a picture are in memory, if they were loaded ahead. */
  ahead?: string | undefined
}

/** The signature of a PDF, which is within its first 1,024 bytes. */
const PDF_MARK = '%PDF-'
const PDF_MARK_BYTES = 1024

/** Without the service worker, the shown file is loaded into memory. */
const MAX_MEMORY_BYTES = 100 * 1000 ** 2

/**
 * Shows the bytes of a file. Nothing in a file can run: markup is shown as text, and SVG only as an image. This holds
 * for bytes of a wrong type too: images and media are not parsed as documents, and the server forbids browsers to guess
 * the type.
 */
export function PreviewContent ({ content, ahead }: PreviewContentProps) {
  const [failure, setFailure] = useState<{ error?: unknown } | undefined>()
  const kind = kindOf(content)
  const obstacle = obstacleOf(content)
  // It stays for as long as the picture is shown.
  const [address] = useState(ahead)
  // The event of an element has no reason. If the server refused, it refuses this request too.
  const explain = () => { readBytes(content, 1).then(() => setFailure({}), (error: unknown) => setFailure({ error })) }
  if (failure?.error !== undefined) return <ProblemText error={failure.error} />
  if (failure !== undefined) return <p class='no-preview muted'>{brokenText(content)}</p>
  if (obstacle !== undefined) return <p class='no-preview muted'>{obstacle}</p>
  if (kind === 'other') return <p class='no-preview muted'>{texts.files.noPreview}</p>
  if (kind === 'text') return <TextPreview content={content} />
  if (kind === 'pdf') return <PdfPreview content={content} onFail={() => setFailure({})} />
  return <MediaPreview content={content} kind={kind} ahead={address} onFail={explain} />
}

/** Why this browser can't show a file that others, or this one over HTTPS, can. */
function obstacleOf (content: ShownContent): string | undefined {
  const kind = kindOf(content)
  if (kind === 'other' || kind === 'text') return undefined
  if (kind === 'pdf' && !navigator.pdfViewerEnabled) return texts.files.noPdfViewer
  if (bytesAddress(content) !== undefined || (kind !== 'pdf' && content.size <= MAX_MEMORY_BYTES)) return undefined
  return isSecureContext ? texts.files.noWorker : texts.files.insecure
}

function brokenText (content: ShownContent): string {
  if (!mayNeedPicture(content)) return texts.files.brokenPreview
  const [, ending = content.type] = /\.([a-z0-9]{1,5})$/i.exec(content.name) ?? []
  return texts.pictures.notShown(ending.toUpperCase())
}

interface MediaPreviewProps extends PreviewContentProps { kind: MediaKind, onFail: () => void }

function MediaPreview ({ content, kind, ahead, onFail }: MediaPreviewProps) {
  const { value: address, error } = useAddress(content, ahead)
  if (address === undefined) return <Unloaded error={error} />
  return <Media kind={kind} address={address} name={visibleName(content.name)} onFail={onFail} />
}

/** A PDF in the browser's viewer, if its bytes are those of a PDF. */
function PdfPreview ({ content, onFail }: { content: ShownContent, onFail: () => void }) {
  const { value: isPdf, error } = useLoaded(async signal => {
    const bytes = await readBytes(content, PDF_MARK_BYTES, signal)
    return (await bytes.text()).includes(PDF_MARK)
  })
  useEffect(() => { if (isPdf === false) onFail() }, [isPdf])
  if (isPdf !== true) return <Unloaded error={error} />
  return <PdfViewer address={bytesAddress({ ...content, disposition: 'inline' })} title={visibleName(content.name)} />
}

/** The address of the bytes: at the service worker, or in memory. */
function useAddress (
  content: ShownContent, ahead: string | undefined
): { value: string | undefined, error?: unknown } {
  const address = mayNeedPicture(content) ? undefined : ahead ?? bytesAddress(content)
  const loaded = useLoaded(async signal => {
    const picture = await pictureOf(content, signal)
    const whole = bytesAddress(content)
    if (picture === undefined && whole !== undefined) return whole
    const bytes = picture ?? await readBytes(content, content.size, signal)
    signal?.throwIfAborted()
    const url = URL.createObjectURL(bytes)
    signal?.addEventListener('abort', () => URL.revokeObjectURL(url))
    return url
  })
  return address === undefined ? loaded : { value: address }
}

function TextPreview ({ content }: { content: ShownContent }) {
  const most = shownBytesOf(content)
  const { value: text, error } = useLoaded(async signal =>
    decoded(await readBytes(content, most, signal), content.type))
  if (text === undefined) return <Unloaded error={error} />
  return (
    <>
      {content.size > most && <p class='muted'>{texts.files.cut(formatSize(most), formatSize(content.size))}</p>}
      <ShownText file={content} text={text} cut={texts.viewer.cutTable} />
    </>
  )
}

function Unloaded ({ error }: { error: unknown }) {
  return error === undefined ? <p class='muted' role='status'>{texts.loading}</p> : <ProblemText error={error} />
}
