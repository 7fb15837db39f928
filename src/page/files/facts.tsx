import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { formatSize, formatTime } from '../format.ts'
import { texts } from '../texts.ts'

interface FactsProps { type: string, size: number, sha256: string, dates: readonly (readonly [label: string, timestamp: string])[] }

/** What is known of a file or a version. */
export function Facts ({ type, size, sha256, dates }: FactsProps) {
  const [copied, setCopied] = useState<boolean | undefined>()
  const copy = () => { navigator.clipboard.writeText(sha256).then(() => setCopied(true), () => setCopied(false)) }
  return (
    <dl class='file-facts'>
      <Fact label={texts.files.facts.type}><bdi>{type}</bdi></Fact>
      <Fact label={texts.files.facts.size}>{formatSize(size)}</Fact>
      {dates.map(([label, timestamp]) => <Fact key={label} label={label}><time dateTime={timestamp}>{formatTime(timestamp)}</time></Fact>)}
      <Fact label={texts.files.facts.sha256}>
        <code>{sha256}</code>
        {isSecureContext && <button type='button' onClick={copy}>{texts.files.copy}</button>}
        <span role='status'>{copied !== undefined && (copied ? texts.files.copied : texts.files.notCopied)}</span>
      </Fact>
    </dl>
  )
}

function Fact ({ label, children }: { label: string, children: ComponentChildren }) {
  return <div><dt>{label}</dt><dd>{children}</dd></div>
}
