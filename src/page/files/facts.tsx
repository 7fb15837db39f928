import { Fact } from '../fact.tsx'
import { formatSize, formatTime } from '../format.ts'
import { texts } from '../texts.ts'
import { useCopy } from '../use-copy.ts'

interface FactsProps { type: string, size: number, sha256: string, dates: readonly (readonly [label: string, timestamp: string])[] }

/** The metadata of a file or a version. */
export function Facts ({ type, size, sha256, dates }: FactsProps) {
  const { copy, isCopied } = useCopy(sha256)
  return (
    <dl class='file-facts'>
      <Fact label={texts.files.facts.type}><bdi>{type}</bdi></Fact>
      <Fact label={texts.files.facts.size}>{formatSize(size)}</Fact>
      {dates.map(([label, timestamp]) => <Fact key={label} label={label}><time dateTime={timestamp}>{formatTime(timestamp)}</time></Fact>)}
      <Fact label={texts.files.facts.sha256}>
        <code>{sha256}</code>
        {isSecureContext && <button type='button' onClick={() => { void copy() }}>{texts.copy}</button>}
        <span role='status'>{isCopied !== undefined && (isCopied ? texts.copied : texts.files.notCopied)}</span>
      </Fact>
    </dl>
  )
}
