import { useEffect } from 'preact/hooks'
import { isOffline } from '../connection.ts'
import { session } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { keepPage } from './kept-page.ts'
import { useKeptLists } from './shown-lists.ts'
import { useShownProgress } from './shown-progress.ts'
import { useUnsent } from './unsent.ts'

/** Says that the server can't be reached, and does what lets the page be used meanwhile. */
export function Offline () {
  // Fails in browsers that allow no storage.
  useEffect(() => { if (!isOffline.value) keepPage().catch(() => {}) }, [isOffline.value])
  useKeptLists()
  useUnsent()
  useShownProgress()
  const { title, hint } = texts.offline
  return (
    <div class='offline' role='status'>
      {isOffline.value && session.value.kind === 'open' && <p><strong>{title}</strong> <span>{hint}</span></p>}
    </div>
  )
}
