import { Detail } from '../detail.tsx'
import { formatSize, formatTime } from '../format.ts'
import { texts } from '../texts.ts'
import { useCopy } from '../use-copy.ts'

interface FileDetailsProps {
  type: string
  size: number
  sha256: string
  dates: readonly (readonly [label: string, timestamp: string])[]
}

/** The metadata of a file or a version. */
export function FileDetails ({ type, size, sha256, dates }: FileDetailsProps) {
  const { copy, isCopied } = useCopy(sha256)
  return (
    <dl class='file-details'>
      <Detail label={texts.files.details.type}><bdi>{type}</bdi></Detail>
      <Detail label={texts.files.details.size}>{formatSize(size)}</Detail>
      {dates.map(([label, timestamp]) =>
        <Detail key={label} label={label}><time dateTime={timestamp}>{formatTime(timestamp)}</time></Detail>)}
      <Detail label={texts.files.details.sha256}>
        <code>{sha256}</code>
        {isSecureContext && <button type='button' onClick={() => { void copy() }}>{texts.copy}</button>}
        <span role='status'>{isCopied !== undefined && (isCopied ? texts.copied : texts.files.notCopied)}</span>
      </Detail>
    </dl>
  )
}
