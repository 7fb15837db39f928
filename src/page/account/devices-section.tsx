import { useState } from 'preact/hooks'
import { folder } from '../folder.ts'
import { Icon } from '../icon.tsx'
import { texts } from '../later-texts.ts'
import { QrCode } from '../qr-code.tsx'
import { useCopy } from '../use-copy.ts'
import { ConnectDialog } from './connect-dialog.tsx'
import { Section } from './section.tsx'

/** Where WebDAV is. */
export const DRIVE = new URL('dav/', folder).href

interface DevicesSectionProps { hasPassword: boolean | undefined, onConnected: () => Promise<void> }

/** How other devices of the user get at the files: as a drive, by this page on a phone, and by programs. */
export function DevicesSection ({ hasPassword, onConnected }: DevicesSectionProps) {
  const [isConnecting, setConnecting] = useState(false)
  const words = texts.account.devices
  const { copy, isCopied } = useCopy(DRIVE)
  return (
    <Section title={words.title}>
      <div class='part'>
        <div>
          <h4>{words.drive}</h4>
          <p class='hint'>{words.driveHint}</p>
          <p class='name' dir='ltr'>{DRIVE}</p>
        </div>
        <div class='actions'>
          <button type='button' aria-label={words.copy} onClick={() => { void copy() }}>
            <Icon name={isCopied === true ? 'check' : 'copy'} />{texts.copy}
          </button>
        </div>
        <p class='hint' role='status'>{isCopied !== undefined && (isCopied ? texts.copied : texts.copyByHand)}</p>
      </div>
      <div class='part'>
        <div>
          <h4>{words.phone}</h4>
          <p class='hint'>{words.phoneHint}</p>
        </div>
        <QrCode text={folder.href} label={words.code} />
      </div>
      <div class='part'>
        <div>
          <h4>{words.program}</h4>
          <p class='hint'>{words.programHint}</p>
        </div>
        <div class='actions'>
          <button type='button' disabled={hasPassword === undefined} onClick={() => setConnecting(true)}>
            {words.enterCode}
          </button>
        </div>
      </div>
      {isConnecting && hasPassword !== undefined && (
        <ConnectDialog hasPassword={hasPassword} onAllowed={onConnected} onClose={() => setConnecting(false)} />
      )}
    </Section>
  )
}
