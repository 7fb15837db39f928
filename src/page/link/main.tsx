import { render } from 'preact'
import { watchDialogs } from '../dialog-history.ts'
import { guardFocus } from '../focus-guard.ts'
import { fetchAhead } from '../fetch-ahead.ts'
import { frameTexts } from '../frame-texts.ts'
import { session } from '../session-state.ts'
import { loadParts, provideParts } from './later.tsx'
import { LinkPage } from './link-page.tsx'
import { watchFolder } from './open-folder.ts'
import { refreshVisit, visit } from './visit.ts'

// Nobody signs in on this page, so dialogs follow the history from the start.
session.value = { kind: 'none' }
provideParts(async () => (await import('./parts.ts')).parts)
watchDialogs()
watchFolder()
guardFocus()
void refreshVisit()
fetchAhead(() => visit.value.kind === 'open', loadParts)
const { language: lang, direction: dir } = frameTexts
Object.assign(document.documentElement, { lang, dir })
render(<LinkPage />, document.body)
