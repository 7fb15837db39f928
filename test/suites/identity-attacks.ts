// Alone, because it replaces the clock of its process.

import '../identity-attacks.test.ts'
