import { useState } from 'preact/hooks'
import { kindOf } from '../files/kinds.ts'
import { Media } from '../files/media.tsx'
import { PdfViewer } from '../files/pdf-viewer.tsx'
import { decoded, ShownText, TEXT_BYTES } from '../files/shown-text.tsx'
import { formatSize } from '../format.ts'
import { frameTexts } from '../frame-texts.ts'
import { lastOf } from '../paths.ts'
import { useLoaded } from '../use-loaded.ts'
import { visibleName } from '../visible-name.ts'
import { whyNot } from './download-link.tsx'
import { texts } from './texts.ts'
import { ask, bytesAddress, bytesPath, followRefusal, type ShownFile } from './visit.ts'

interface FilePreviewProps {
  file: ShownFile
  /** The address of its small picture, which is shown if the browser can't show the file. */
  picture?: string | undefined
}

/** Shows an image, a sound, a video, a PDF or a text. Nothing in a file can run: markup is shown as text. */
export function FilePreview ({ file, picture }: FilePreviewProps) {
  const [failure, setFailure] = useState<string>()
  const [isShownSmall, setShownSmall] = useState(picture !== undefined)
  const name = visibleName(lastOf(file.name))
  const kind = kindOf(file)
  if (failure !== undefined) {
    return (
      <>
        {isShownSmall && <img class='shown' src={picture} alt={name} onError={() => setShownSmall(false)} />}
        <p class='no-preview muted' role='status'>{failure}</p>
      </>
    )
  }
  switch (kind) {
    case 'image': case 'audio': case 'video': {
      // The event of an element has no reason. If the server refused, it refuses this request too.
      const explain = () => {
        ask(bytesPath(file.name), { method: 'HEAD' })
          .then(() => setFailure(texts.brokenPreview), (error: unknown) => setFailure(refusalOf(error)))
      }
      return <Media kind={kind} address={bytesAddress(file.name)} name={name} onFail={explain} />
    }
    case 'pdf': return <PdfViewer address={`${bytesAddress(file.name)}?disposition=inline`} title={name} />
    case 'text': return <TextPreview file={file} />
    case 'other': return null
  }
}

function TextPreview ({ file }: { file: ShownFile }) {
  const { value: text, error } = useLoaded(signal => beginningOf(file, signal))
  if (error !== undefined) return <p class='no-preview muted' role='status'>{refusalOf(error)}</p>
  if (text === undefined) return <p class='muted' role='status'>{frameTexts.loading}</p>
  return (
    <>
      {file.size > TEXT_BYTES && <p class='muted'>{texts.cut(formatSize(TEXT_BYTES), formatSize(file.size))}</p>}
      <ShownText name={lastOf(file.name)} text={text} />
    </>
  )
}

/** The first bytes of a text. An empty file has no ranges. */
async function beginningOf ({ name, type, size }: ShownFile, signal: AbortSignal | null = null): Promise<string> {
  const headers = size > TEXT_BYTES ? { range: `bytes=0-${TEXT_BYTES - 1}` } : {}
  const response = await ask(bytesPath(name), { headers, signal })
  return decoded(await response.blob(), type)
}

function refusalOf (error: unknown): string {
  followRefusal(error)
  return whyNot(error)
}
