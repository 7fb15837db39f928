import { useState } from 'preact/hooks'
import { kindOf } from '../files/kinds.ts'
import { Media } from '../files/media.tsx'
import { PdfViewer } from '../files/pdf-viewer.tsx'
import { decoded, ShownText, shownBytesOf } from '../files/shown-text.tsx'
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
  /** Where the bytes of a picture are in memory, if they were loaded ahead. */
  ahead?: string | undefined
  /** The address of its small picture, which is shown if the browser can't show the file. */
  picture?: string | undefined
}

/** Shows an image, a sound, a video, a PDF or a text. Nothing in a file can run: markup is shown as text. */
export function FilePreview ({ file, ahead, picture }: FilePreviewProps) {
  const [failure, setFailure] = useState<string>()
  const [isShownSmall, setShownSmall] = useState(picture !== undefined)
  // It stays for as long as the picture is shown.
  const [address] = useState(ahead ?? bytesAddress(file.name))
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
      return <Media kind={kind} address={address} name={name} onFail={explain} />
    }
    case 'pdf': return <PdfViewer address={`${bytesAddress(file.name)}?disposition=inline`} title={name} />
    case 'text': return <TextPreview file={file} />
    case 'other': return null
  }
}

function TextPreview ({ file }: { file: ShownFile }) {
  const most = shownBytesOf(file)
  const { value: text, error } = useLoaded(async signal => decoded(await readBytes(file, most, signal), file.type))
  if (error !== undefined) return <p class='no-preview muted' role='status'>{refusalOf(error)}</p>
  if (text === undefined) return <p class='muted' role='status'>{frameTexts.loading}</p>
  return (
    <>
      {file.size > most && <p class='muted'>{texts.cut(formatSize(most), formatSize(file.size))}</p>}
      <ShownText file={{ ...file, name: lastOf(file.name) }} text={text} cut={texts.viewer.cutTable} />
    </>
  )
}

/** Reads the first `count` bytes. An empty file has no ranges. @throws what `ask` throws. */
export async function readBytes ({ name, size }: ShownFile, count: number, signal?: AbortSignal): Promise<Blob> {
  const headers = size > count ? { range: `bytes=0-${count - 1}` } : {}
  return (await ask(bytesPath(name), { headers, signal: signal ?? null })).blob()
}

function refusalOf (error: unknown): string {
  followRefusal(error)
  return whyNot(error)
}
