import { render } from 'preact'
import { App } from './app.tsx'
import { watchDialogs } from './dialog-history.ts'
import { guardFocus } from './focus-guard.ts'
import { fetchAhead } from './fetch-ahead.ts'
import { entries } from './files/entries.ts'
import { watchChanges } from './files/live.ts'
import { frameTexts } from './frame-texts.ts'
import { loadParts, provideParts } from './later.tsx'
import { restoreSession, watchSession } from './session.ts'
import { session } from './session-state.ts'
import { removeNamedFingerprints } from './uploads/fingerprints.ts'
import { watchStored } from './uploads/outcome.ts'
import { watchView } from './view.ts'
import { connectWorker } from './worker-link.ts'

provideParts(async () => (await import('./parts.ts')).parts)
removeNamedFingerprints()
void restoreSession()
watchSession()
watchView()
watchDialogs()
watchChanges()
watchStored((file, local) => { void loadParts().then(parts => parts?.pictureUploaded(file, local)) })
guardFocus()
// Without the service worker, downloads are loaded into memory first.
connectWorker().catch(() => {})
const isShown = () => session.value.kind === 'none' || entries.isComplete.value || entries.entries.value.length > 0
fetchAhead(isShown, loadParts)
const { language: lang, direction: dir } = frameTexts
Object.assign(document.documentElement, { lang, dir })
render(<App />, document.body)
