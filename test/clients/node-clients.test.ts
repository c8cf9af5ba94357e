import { testClients } from './client-suite.ts';

testClients('node');
