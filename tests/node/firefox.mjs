// The page's whole story in Firefox, by WebDriver BiDi: node firefox.mjs PROGRAM ADDRESS KEY FILE. Prints what it saw as JSON.
import puppeteer from 'puppeteer-core';

const [program, url, key, file] = process.argv.slice(2);
const browser = await puppeteer.launch({ browser: 'firefox', executablePath: program, headless: true, protocolTimeout: 120000 });
const wrong = [];
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(60000);
  page.on('pageerror', (error) => wrong.push(String(error)));
  await page.evaluateOnNewDocument(() => {
    Object.assign(globalThis, { refused: [], heard: [] });
    document.addEventListener('securitypolicyviolation', (event) => refused.push(`${event.violatedDirective} ${event.blockedURI}`));
    new MutationObserver((changes) => heard.push(...changes.flatMap((each) => [...each.addedNodes]).map((each) => each.data))).observe(document, { childList: true, subtree: true });
  });
  const text = (selector) => page.$eval(selector, (each) => each.textContent);
  // Not by Puppeteer's waiting for a function: that one needs `eval`, which the page forbids.
  const said = async (words) => {
    for (let tries = 0; !(await page.evaluate((wanted) => heard.includes(wanted), words)); tries += 1) {
      if (tries > 600) throw new Error(`not said: ${words}, but ${await text('#answer')}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const look = async () => {
    await page.click('#rows .filename');
    await page.waitForSelector('#preview pre');
  };
  await page.goto(url);
  await page.type('#key', key);
  await page.click('#sign-in button');
  await page.waitForSelector('#no-files:not([hidden])');
  await page.click('nav [href="#upload"]');
  await (await page.$('#picked-files')).uploadFile(file);
  await page.waitForSelector('#queue .done');
  await page.click('nav [href="#files"]');
  await page.waitForSelector('#rows .filename');
  const name = await text('#rows .filename');
  await look();
  const preview = await text('#preview pre');
  await page.click('#ask-one');
  await page.waitForSelector('#ask[data-state=ready]');
  await page.type('#question', 'What does it say?');
  await page.click('#ask-button');
  await said('The answer is complete');
  const answer = await text('#answer');
  await page.click('#copy-sample');
  await said('The call for curl copied');
  const sample = (await text('#sample')).split('\n')[0];
  await page.click('nav [href="#files"]');
  await look();
  await page.click('#delete-one');
  await page.click('#confirm [value=yes]');
  await page.waitForSelector('#no-files:not([hidden])');
  await page.click('#sign-out');
  await page.waitForSelector('#sign-in:not([hidden])');
  const kept = await page.evaluate(() => sessionStorage.length + localStorage.length + document.cookie.length);
  wrong.push(...(await page.evaluate(() => refused)));
  await page.goto(`${url}/docs`);
  await page.waitForSelector('#uploadFile');
  wrong.push(...(await page.evaluate(() => refused)));
  console.log(JSON.stringify({ name, preview, answer, sample, kept, wrong }));
} finally {
  await browser.close();
}
