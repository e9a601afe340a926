/** Words that the most common passwords are made of, from which the cloud's own passwords must not be: a short list. */

export const BANNED_WORDS: readonly string[] = [
  ...['password', 'passwort', 'passwd', 'passphrase', 'letmein', 'welcome', 'willkommen', 'secret', 'changeme'],
  ...['qwerty', 'qwertz', 'qwertyuiop', 'azerty', 'asdfgh', 'asdfghjkl', 'zxcvbn', 'zxcvbnm', 'qazwsx', '1qaz2wsx'],
  ...['q1w2e3r4', '1q2w3e4r', '1234', '12345', '123456', '1234567', '12345678', '123456789', '1234567890'],
  ...['0987654321', '987654321', '654321', '4321', '1111', '111111', '0000', '000000', '123123', '121212'],
  ...['abcd', 'abc123', 'abcdef', 'abcdefg', 'aaaaaa', 'iloveyou', 'loveme', 'lovely', 'sunshine', 'princess'],
  ...['admin', 'administrator', 'root', 'master', 'user', 'guest', 'login', 'access', 'default', 'test', 'temp'],
  ...['company', 'office', 'server', 'system', 'windows', 'microsoft', 'azure', 'entra', 'google', 'internet'],
  ...['football', 'baseball', 'basketball', 'hockey', 'soccer', 'dragon', 'monkey', 'shadow', 'superman', 'batman'],
  ...['michael', 'jordan', 'charlie', 'thomas', 'daniel', 'andrew', 'jennifer', 'jessica', 'ashley', 'hunter'],
  ...['summer', 'winter', 'spring', 'autumn', 'january', 'february', 'march', 'april', 'june', 'july', 'august'],
  ...['september', 'october', 'november', 'december', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday'],
  ...['saturday', 'sunday', 'computer', 'freedom', 'whatever', 'trustnoone', 'starwars', 'hello', 'flower', 'cheese'],
];
