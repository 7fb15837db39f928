import { Detail } from '../detail.tsx'
import { formatSize } from '../format.ts'
import { texts } from '../later-texts.ts'
import { Time } from '../time.tsx'
import { useCopy } from '../use-copy.ts'

type Label = keyof typeof texts.files.details

interface FileDetailsProps {
  type: string
  size: number
  sha256: string
  /** The file's own date; null if the client did not send it. */
  modifiedAt: string | null
  dates: readonly (readonly [label: Label, timestamp: string])[]
}

/** The metadata of a file or a version. */
export function FileDetails ({ type, size, sha256, modifiedAt, dates }: FileDetailsProps) {
  return (
    <>
      <dl class='file-details'>
        <Detail label={texts.files.details.type}><bdi>{type}</bdi></Detail>
        <Detail label={texts.files.details.size}>{formatSize(size)}</Detail>
        {modifiedAt !== null && <TimeDetail label='modified' timestamp={modifiedAt} />}
        {dates.map(([label, timestamp]) => <TimeDetail key={label} label={label} timestamp={timestamp} />)}
      </dl>
      <Checksum sha256={sha256} />
    </>
  )
}

/** Few need it, so that it is folded away. */
function Checksum ({ sha256 }: { sha256: string }) {
  const { copy, isCopied } = useCopy(sha256)
  return (
    <details class='more'>
      <summary>{texts.files.more}</summary>
      <dl class='file-details'>
        <Detail label={texts.files.details.sha256}>
          <code>{sha256}</code>
          {isSecureContext && <button type='button' onClick={() => { void copy() }}>{texts.copy}</button>}
          <span role='status'>{isCopied !== undefined && (isCopied ? texts.copied : texts.files.notCopied)}</span>
        </Detail>
      </dl>
    </details>
  )
}

function TimeDetail ({ label, timestamp }: { label: Label, timestamp: string }) {
  return <Detail label={texts.files.details[label]}><Time timestamp={timestamp} /></Detail>
}
