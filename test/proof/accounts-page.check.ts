// The stories of accounts, links and /docs in the page, in one browser. Each has a context and an account of its own.
// Files run in the order of their names: this one begins long before page-files.check.ts, so that few browsers run at
// once.

import './page/account.ts'
import './page/docs.ts'
import './page/factors.ts'
import './page/identities.ts'
import './page/install.ts'
import './page/languages.ts'
import './page/link.ts'
import './page/links.ts'
import './page/locks.ts'
import './page/session.ts'
import './page/shortcuts.ts'
