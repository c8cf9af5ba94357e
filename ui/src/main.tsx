import { render } from 'preact';
import { App } from './app.tsx';
import { chooseLanguage, language } from './i18n/language.ts';
import { applyTheme } from './lib/theme.ts';
import './styles/page.css';

applyTheme();
chooseLanguage(language.value);
const place = document.getElementById('app');
if (place !== null) render(<App />, place);
