import '../identity-attacks.test.ts'
