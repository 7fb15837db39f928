import { useRef } from 'preact/hooks'
import { Icon } from '../icon.tsx'
import { texts } from '../later-texts.ts'
import { useCopy } from '../use-copy.ts'

const words = texts.factors

interface RecoveryCodesProps {
  codes: readonly string[]
  username: string
  onDone: () => void
}

/** New recovery codes, which can't be shown again. The button prints only them. */
export function RecoveryCodes ({ codes, username, onDone }: RecoveryCodesProps) {
  const list = useRef<HTMLOListElement>(null)
  const { copy, isCopied } = useCopy(codes.join('\n'))
  async function copyOrSelect (): Promise<void> {
    if (!await copy() && list.current !== null) getSelection()?.selectAllChildren(list.current)
  }
  return (
    <>
      <p class='warning'>{words.codesShownOnce}</p>
      <div class='printed'>
        <p class='only-printed'>{words.printed(location.host, username)}</p>
        <ol class='recovery-codes' ref={list}>{codes.map(code => <li key={code}>{code}</li>)}</ol>
      </div>
      <div class='actions'>
        <button type='button' data-autofocus onClick={() => { void copyOrSelect() }}>
          <Icon name={isCopied === true ? 'check' : 'copy'} />{texts.copy}
        </button>
        <button type='button' onClick={() => print()}><Icon name='print' />{words.print}</button>
        <button type='button' class='primary' onClick={onDone}>{texts.account.done}</button>
      </div>
      <p class='hint' role='status'>{isCopied !== undefined && (isCopied ? texts.copied : texts.copyByHand)}</p>
    </>
  )
}
