process.env.TEST_STORE = 'sqlite-s3'
