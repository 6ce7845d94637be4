"""Demo data: the three stories of the product and a person alone, with four weeks of use. Only while DEBUG is on."""
