"""The example drugs are what their names say: formulas and stereo descriptors were written apart from the SMILES."""

from collections import Counter
from pathlib import Path

import pytest
from rdkit import Chem
from rdkit.Chem import rdCIPLabeler, rdMolDescriptors
from rdkit.Chem.rdForceFieldHelpers import MMFFHasAllMoleculeParams

DRUGS = Path(__file__).resolve().parents[1] / "data" / "drugs.smi"
ELEMENTS = {"H", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I"}


def table(text: str) -> dict[str, str]:
    return dict(entry.split(":") for entry in text.split())


FORMULAS = table("""
abacavir:C14H18N6O abiraterone:C24H31NO acetazolamide:C4H6N4O3S2 acetylcholine:C7H16NO2+
acetylcysteine:C5H9NO3S acetylsalicylic-acid:C9H8O4 aciclovir:C8H11N5O3 albendazole:C12H15N3O2S
alendronic-acid:C4H13NO7P2 allopurinol:C5H4N4O ambrisentan:C22H22N2O4 ambroxol:C13H18Br2N2O
amidotrizoate:C11H8I3N2O4- amikacin:C22H43N5O13 amiloride:C6H8ClN7O amiodarone:C25H29I2NO3
amitriptyline:C20H23N amlodipine:C20H25ClN2O5 amoxicillin:C16H19N3O5S anastrozole:C17H19N5 apixaban:C25H25N5O4
aripiprazole:C23H27Cl2N3O2 artemisinin:C15H22O5 artesunate:C19H28O8 ascorbic-acid:C6H8O6 atazanavir:C38H52N6O7
atenolol:C14H22N2O3 atorvastatin:C33H35FN2O5 atovaquone:C22H19ClO3 atropine:C17H23NO3 avibactam:C7H11N3O6S
azathioprine:C9H7N7O2S azithromycin:C38H72N2O12 aztreonam:C13H17N5O8S2 baclofen:C10H12ClNO2
baricitinib:C16H17N7O2S bedaquiline:C32H31BrN2O2 benznidazole:C12H12N4O3 benzylpenicillin:C16H18N2O4S
betaine:C5H11NO2 betamethasone:C22H29FO5 bethanechol:C7H17N2O2+ bicalutamide:C18H14F4N2O4S
bictegravir:C21H18F3N3O5 biotin:C10H16N2O3S bisacodyl:C22H19NO4 bisoprolol:C18H31NO4 bosentan:C27H29N5O6S
brimonidine:C11H10BrN5 brivudine:C11H13BrN2O5 bromhexine:C14H20Br2N2 bromocriptine:C32H40BrN5O5
brompheniramine:C16H19BrN2 budesonide:C25H34O6 calcitriol:C27H44O3 candesartan:C24H20N6O3
capecitabine:C15H22FN3O6 captopril:C9H15NO3S carbamazepine:C15H12N2O carvedilol:C24H26N2O4
cefalexin:C16H17N3O4S cefazolin:C14H14N8O4S3 cefixime:C16H15N5O7S2 ceftazidime:C22H22N6O7S2
ceftriaxone:C18H18N8O7S3 cefuroxime:C16H16N4O8S celecoxib:C17H14F3N3O2S cetirizine:C21H25ClN2O3
cetylpyridinium:C21H38N+ chloramphenicol:C11H12Cl2N2O5 chloroquine:C18H26ClN3 chlorpromazine:C17H19ClN2S
chlortalidone:C14H11ClN2O4S choline:C5H14NO+ ciprofloxacin:C17H18FN3O3 clarithromycin:C38H69NO13
clavulanic-acid:C8H9NO5 clindamycin:C18H33ClN2O5S clofazimine:C27H22Cl2N4 clonidine:C9H9Cl2N3
clopidogrel:C16H16ClNO2S clotrimazole:C22H17ClN2 clozapine:C18H19ClN4 colchicine:C22H25NO6
colecalciferol:C27H44O crizotinib:C21H22Cl2FN5O cyclophosphamide:C7H15Cl2N2O2P cytarabine:C9H13N3O5
dapsone:C12H12N2O2S darunavir:C27H37N3O7S dasatinib:C22H26ClN7O2S deferasirox:C21H15N3O4
delamanid:C25H25F3N4O6 dexamethasone:C22H29FO5 diclofenac:C14H11Cl2NO2 digoxin:C41H64O14 diltiazem:C22H26N2O4S
dolutegravir:C20H19F2N3O5 domperidone:C22H24ClN5O2 donepezil:C24H29NO3 dorzolamide:C10H16N2O4S3
doxorubicin:C27H29NO11 doxycycline:C22H24N2O8 duloxetine:C18H19NOS efavirenz:C14H9ClF3NO2
empagliflozin:C23H27ClO7 emtricitabine:C8H10FN3O3S enalapril:C20H28N2O5 entacapone:C14H15N3O5
entecavir:C12H15N5O3 enzalutamide:C21H16F4N4O2S epothilone-b:C27H41NO6S erlotinib:C22H23N3O4
erythromycin:C37H67NO13 escitalopram:C20H21FN2O esomeprazole:C17H19N3O3S estradiol:C18H24O2
ethambutol:C10H24N2O2 ethionamide:C8H10N2S etoposide:C29H32O13 etoricoxib:C18H15ClN2O2S etravirine:C20H15BrN6O
exemestane:C20H24O2 ezetimibe:C24H21F2NO3 famotidine:C8H15N7O2S3 favipiravir:C5H4FN3O2 febuxostat:C16H16N2O3S
fenofibrate:C20H21ClO4 fexofenadine:C32H39NO4 finasteride:C23H36N2O2 flecainide:C17H20F6N2O3
flucloxacillin:C19H17ClFN3O5S fluconazole:C13H12F2N6O flucytosine:C4H4FN3O fluorouracil:C4H3FN2O2
fluoxetine:C17H18F3NO flusilazole:C16H15F2N3Si fluticasone-propionate:C25H31F3O5S folic-acid:C19H19N7O6
formoterol:C19H24N2O4 foscarnet:CH3O5P fosfomycin:C3H7O4P fosinopril:C30H46NO7P furosemide:C12H11ClN2O5S
fusidic-acid:C31H48O6 galantamine:C17H21NO3 gefitinib:C22H24ClFN4O3 gemcitabine:C9H11F2N3O4
gemfibrozil:C15H22O3 glibenclamide:C23H28ClN3O5S glimepiride:C24H34N4O5S glycopyrronium:C19H28NO3+
grazoprevir:C38H50N6O9S griseofulvin:C17H17ClO6 haloperidol:C21H23ClFNO2 hydralazine:C8H8N4
hydrochlorothiazide:C7H8ClN3O4S2 hydrocortisone:C21H30O5 hydroxychloroquine:C18H26ClN3O hydroxyurea:CH4N2O2
ibrutinib:C25H24N6O2 ibuprofen:C13H18O2 idoxuridine:C9H11IN2O5 imatinib:C29H31N7O imipenem:C12H17N3O4S
indapamide:C16H16ClN3O3S indometacin:C19H16ClNO4 iohexol:C19H26I3N3O9 ipratropium:C20H30NO3+
irbesartan:C25H28N6O irinotecan:C33H38N4O6 isoniazid:C6H7N3O isosorbide-mononitrate:C6H9NO6
ivabradine:C27H36N2O5 ivermectin:C48H74O14 ixabepilone:C27H42N2O5S ketoconazole:C26H28Cl2N4O4
ketorolac:C15H13NO3 labetalol:C19H24N2O3 lamivudine:C8H11N3O3S lamotrigine:C9H7Cl2N5 latanoprost:C26H40O5
leflunomide:C12H9F3N2O2 lenalidomide:C13H13N3O3 letrozole:C17H11N5 levamisole:C11H12N2S
levetiracetam:C8H14N2O2 levocarnitine:C7H15NO3 levodopa:C9H11NO4 levofloxacin:C18H20FN3O4
levonorgestrel:C21H28O2 levothyroxine:C15H11I4NO4 lidocaine:C14H22N2O linagliptin:C25H28N8O2
linezolid:C16H20FN3O4 liothyronine:C15H12I3NO4 lisinopril:C21H31N3O5 loratadine:C22H23ClN2O2
lorlatinib:C21H19FN6O2 losartan:C22H23ClN6O lumefantrine:C30H32Cl3NO maraviroc:C29H41F2N5O
mefloquine:C17H16F6N2O meloxicam:C14H13N3O4S2 mercaptopurine:C5H4N4S meropenem:C17H25N3O5S mesalazine:C7H7NO3
metformin:C4H12N5+ methotrexate:C20H22N8O5 methyldopa:C10H13NO4 methylthioninium:C16H18N3S+
metoclopramide:C14H22ClN3O2 metoprolol:C15H25NO3 metronidazole:C6H9N3O3 miconazole:C18H14Cl4N2O
miltefosine:C21H46NO4P minocycline:C23H27N3O7 minoxidil:C9H15N5O misoprostol:C22H38O5 montelukast:C35H36ClNO3S
moxifloxacin:C21H24FN3O4 mupirocin:C26H44O9 mycophenolic-acid:C17H20O6 naproxen:C14H14O3 natamycin:C33H47NO13
neostigmine:C12H19N2O2+ nevirapine:C15H14N4O niclosamide:C13H8Cl2N2O4 nicotinamide:C6H6N2O
nifedipine:C17H18N2O6 nifurtimox:C10H13N3O5S nirmatrelvir:C23H32F3N5O4 nitazoxanide:C12H9N3O5S
nitrofurantoin:C8H6N4O5 olanzapine:C17H20N4S olaparib:C24H23FN4O3 ondansetron:C18H19N3O oseltamivir:C16H28N2O4
osimertinib:C28H33N7O2 oxytocin:C43H66N12O12S2 paclitaxel:C47H51NO14 pacritinib:C28H32N4O3
palbociclib:C24H29N7O2 pantothenate:C9H16NO5- paracetamol:C8H9NO2 paroxetine:C19H20FNO3
penicillamine:C5H11NO2S perindopril:C19H32N2O5 phenytoin:C15H12N2O2 pilocarpine:C11H16N2O2
pioglitazone:C19H20N2O3S piperacillin:C23H27N5O7S piroxicam:C15H13N3O4S plerixafor:C28H54N8
posaconazole:C37H42F2N8O4 pramipexole:C10H17N3S pravastatin:C23H36O7 praziquantel:C19H24N2O2
prazosin:C19H21N5O4 prednisolone:C21H28O5 pretomanid:C14H12F3N3O5 primaquine:C15H21N3O probenecid:C13H19NO4S
progesterone:C21H30O2 proguanil:C11H17ClN5+ propafenone:C21H27NO3 propranolol:C16H21NO2
propylthiouracil:C7H10N2OS pyrazinamide:C5H5N3O pyridostigmine:C9H13N2O2+ pyridoxine:C8H11NO3
pyrimethamine:C12H13ClN4 quetiapine:C21H25N3O2S quinine:C20H24N2O2 raltegravir:C20H21FN6O5 ramipril:C23H32N2O5
ranitidine:C13H22N4O3S remdesivir:C27H35N6O8P repaglinide:C27H36N2O4 repotrectinib:C18H18FN5O2
ribavirin:C8H12N4O5 riboflavin:C17H20N4O6 rifampicin:C43H58N4O12 rilpivirine:C22H18N6 risperidone:C23H27FN4O2
ritonavir:C37H48N6O5S2 rivaroxaban:C19H18ClN3O5S rocuronium:C32H53N2O4+ roflumilast:C17H14Cl2F2N2O3
rosuvastatin:C22H28FN3O6S ruxolitinib:C17H18N6 sacubitril:C24H29NO5 salbutamol:C13H21NO3 sertraline:C17H17Cl2N
sevoflurane:C4H3F7O silafluofen:C25H29FO2Si sildenafil:C22H30N6O4S silthiofam:C13H21NOSSi
simeconazole:C14H20FN3OSi simvastatin:C25H38O5 sirolimus:C51H79NO13 sitagliptin:C16H15F6N5O
sofosbuvir:C22H29FN3O9P sorafenib:C21H16ClF3N4O3 spironolactone:C24H32O4S sulfamethoxazole:C10H11N3O3S
sulfasalazine:C18H14N4O5S sulindac:C20H17FO3S sumatriptan:C14H21N3O2S sunitinib:C22H27FN4O2
tacrolimus:C44H69NO12 tadalafil:C22H19N3O4 tamoxifen:C26H29NO tazobactam:C10H12N4O5S telmisartan:C33H30N4O2
temozolomide:C6H6N6O2 tenofovir:C9H14N5O4P tenofovir-alafenamide:C21H29N6O5P terbinafine:C21H25N
tetracycline:C22H24N2O8 theophylline:C7H8N4O2 thiamine:C12H17N4OS+ ticagrelor:C23H28F2N6O4S
timolol:C13H24N4O3S tiotropium:C19H22NO4S2+ tobramycin:C18H37N5O9 tofacitinib:C16H20N6O topiramate:C12H21NO8S
topotecan:C23H23N3O5 trametinib:C26H23FIN5O4 tranexamic-acid:C8H15NO2 tretinoin:C20H28O2
trifluridine:C10H11F3N2O5 trimethoprim:C14H18N4O3 ursodeoxycholic-acid:C24H40O4 valaciclovir:C13H20N6O4
valproate:C8H15O2- valsartan:C24H29N5O3 vemurafenib:C23H18ClF2N3O3S verapamil:C27H38N2O4
voriconazole:C16H14F3N5O warfarin:C19H16O4 zanamivir:C12H20N4O7 zidovudine:C10H13N5O4
zoledronic-acid:C5H10N2O7P2
""")

# How many centres and bonds carry each CIP descriptor, from the systematic names.
DESCRIPTORS = table("""
abacavir:1R1S abiraterone:2R4S acetylcysteine:1R ambrisentan:1S ambroxol:2r amikacin:7R9S amlodipine:1S
amoxicillin:3R1S artemisinin:4R3S ascorbic-acid:1R1S atazanavir:4S atenolol:1S atorvastatin:2R atovaquone:2r
avibactam:1R1S azithromycin:11R7S aztreonam:2S1Z baclofen:1R bedaquiline:1R1S benzylpenicillin:2R1S
betamethasone:2R6S bethanechol:1S bicalutamide:1R bictegravir:2R1S biotin:1R2S bisoprolol:1S brivudine:2R1S1E
bromocriptine:3R3S calcitriol:4R2S1E1Z capecitabine:3R1S captopril:2S carvedilol:1S cefalexin:3R cefazolin:2R
cefixime:2R1Z ceftazidime:2R1Z ceftriaxone:2R1Z cefuroxime:2R1Z cetirizine:1R chloramphenicol:2R
chloroquine:1S clarithromycin:11R7S clavulanic-acid:2R1Z clindamycin:5R4S clopidogrel:1S colchicine:1S
crizotinib:1R cytarabine:2R2S darunavir:3R2S delamanid:1R dexamethasone:3R5S diltiazem:2S dolutegravir:1R1S
dorzolamide:2S doxorubicin:1R5S doxycycline:4R2S duloxetine:1S efavirenz:1S empagliflozin:3R3S
emtricitabine:1R1S enalapril:3S entacapone:1E entecavir:1R2S epothilone-b:2R5S1E erythromycin:11R7S
escitalopram:1S esomeprazole:1S estradiol:1R4S ethambutol:2S etoposide:8R2S exemestane:2R3S ezetimibe:1R2S
finasteride:2R5S flucloxacillin:2R1S fluticasone-propionate:3R6S folic-acid:1S formoterol:2R fosfomycin:1R1S
fosinopril:1R3S galantamine:1R2S gemcitabine:3R glimepiride:2r grazoprevir:4R3S griseofulvin:1R1S
hydrocortisone:2R5S hydroxychloroquine:1R ibrutinib:1R ibuprofen:1S idoxuridine:2R1S imipenem:2R1S1E
irinotecan:1S isosorbide-mononitrate:2R2S ivabradine:1S ixabepilone:2R5S1E ketoconazole:1R1S ketorolac:1S
labetalol:2R lamivudine:1R1S latanoprost:4R1S1Z lenalidomide:1S levamisole:1S levetiracetam:1S
levocarnitine:1R levodopa:1S levofloxacin:1S levonorgestrel:3R3S levothyroxine:1S linagliptin:1R linezolid:1S
liothyronine:1S lisinopril:3S lorlatinib:1R lumefantrine:1R1Z mefloquine:1R1S meropenem:2R4S methotrexate:1S
methyldopa:1S metoprolol:1S minocycline:2R2S montelukast:1R1E moxifloxacin:2S mupirocin:2R6S1E
mycophenolic-acid:1E naproxen:1S natamycin:8R6S5E nirmatrelvir:1R5S nitrofurantoin:1E oseltamivir:2R1S
oxytocin:2R7S paclitaxel:4R7S pacritinib:1E pantothenate:1R paroxetine:1R1S penicillamine:1S perindopril:5S
pilocarpine:1R1S piperacillin:3R1S posaconazole:2R2S pramipexole:1S pravastatin:3R5S praziquantel:1R
prednisolone:2R5S pretomanid:1S progesterone:1R5S propranolol:1S ramipril:5S remdesivir:3R3S repaglinide:1S
repotrectinib:1R1S ribavirin:3R1S riboflavin:1R2S rifampicin:4R5S3E1Z rilpivirine:1E ritonavir:4S
rivaroxaban:1S rosuvastatin:1R1S1E ruxolitinib:1R sacubitril:1R1S salbutamol:1R sertraline:2S simvastatin:4R3S
sirolimus:9R6S4E sitagliptin:1R sofosbuvir:4R2S spironolactone:4R3S sulfasalazine:1E sulindac:1R1Z
sunitinib:1Z tacrolimus:8R6S2E tadalafil:2R tamoxifen:1Z tazobactam:1R2S tenofovir:1R
tenofovir-alafenamide:1R2S terbinafine:1E tetracycline:1R4S ticagrelor:2R4S timolol:1S tobramycin:7R7S
tofacitinib:2R topiramate:2R2S topotecan:1S tranexamic-acid:2r tretinoin:4E trifluridine:2R1S
ursodeoxycholic-acid:5R5S valaciclovir:1S valsartan:1S verapamil:1S voriconazole:1R1S warfarin:1S
zanamivir:4R1S zidovudine:1R2S
""")


@pytest.fixture(scope="module")
def lines() -> list[list[str]]:
    return [line.split(" ") for line in DRUGS.read_text(encoding="ascii").splitlines()]


@pytest.fixture(scope="module")
def molecules(lines) -> dict[str, Chem.Mol]:
    return {name: Chem.MolFromSmiles(smiles) for smiles, name in lines}


@pytest.fixture(scope="module")
def with_hydrogens(molecules) -> dict[str, Chem.Mol]:
    return {name: Chem.AddHs(mol) for name, mol in molecules.items()}


def count(molecules: dict[str, Chem.Mol], holds) -> int:
    return sum(bool(holds(mol)) for mol in molecules.values())


def matches(smarts: str):
    pattern = Chem.MolFromSmarts(smarts)
    return lambda mol: mol.HasSubstructMatch(pattern)


def test_every_line_is_a_structure_and_a_lower_case_name(lines, molecules):
    assert 250 <= len(lines) <= 350
    assert [name for name, mol in molecules.items() if mol is None] == []
    assert [name for _, name in lines if name != name.lower() or not name.replace("-", "").isalnum()] == []


def test_no_name_and_no_structure_comes_twice(lines, molecules):
    assert [name for name, n in Counter(name for _, name in lines).items() if n > 1] == []
    assert [s for s, n in Counter(map(Chem.MolToSmiles, molecules.values())).items() if n > 1] == []


def test_every_drug_has_the_formula_of_its_name(molecules):
    assert {name: rdMolDescriptors.CalcMolFormula(mol) for name, mol in molecules.items()} == FORMULAS


def test_stereo_descriptors_are_those_of_the_systematic_names(molecules):
    found = {}
    for name in DESCRIPTORS:
        mol = molecules[name]
        rdCIPLabeler.AssignCIPLabels(mol)
        carriers = [*mol.GetAtoms(), *mol.GetBonds()]
        labels = Counter(carrier.GetProp("_CIPCode") for carrier in carriers if carrier.HasProp("_CIPCode"))
        found[name] = "".join(f"{labels[label]}{label}" for label in "RSrsEZ" if labels[label])
    assert found == DESCRIPTORS


def symbols(mol: Chem.Mol, element: Chem.StereoInfo) -> set[str]:
    """Symbols of the centre, or of the two atoms of the bond, that a stereo element is about."""
    if element.type == Chem.StereoType.Atom_Tetrahedral:
        return {mol.GetAtomWithIdx(element.centeredOn).GetSymbol()}
    bond = mol.GetBondWithIdx(element.centeredOn)
    return {bond.GetBeginAtom().GetSymbol(), bond.GetEndAtom().GetSymbol()}


def test_no_stereo_of_carbon_or_sulfur_is_left_undeclared(molecules):
    """Nitrogen inverts or is tied by its rings, P=O and P-O⁻ are equivalent, and azides have no E and Z."""
    undeclared = [
        (name, element.centeredOn)
        for name, mol in molecules.items()
        for element in Chem.FindPotentialStereo(mol)
        if element.specified == Chem.StereoSpecified.Unspecified and symbols(mol, element) & {"C", "S"}
    ]
    assert undeclared == []


def test_the_drugs_are_single_molecules_of_9_to_150_atoms(with_hydrogens):
    assert count(with_hydrogens, lambda mol: len(Chem.GetMolFrags(mol)) > 1) == 0
    sizes = sorted(mol.GetNumAtoms() for mol in with_hydrogens.values())
    assert sizes[0] >= 9 and sizes[-1] <= 150
    assert sum(20 <= size <= 70 for size in sizes) > 0.8 * len(sizes)


def test_the_drugs_hold_the_eleven_elements_and_no_other(with_hydrogens):
    seen = Counter(s for mol in with_hydrogens.values() for s in {atom.GetSymbol() for atom in mol.GetAtoms()})
    assert set(seen) == ELEMENTS
    assert min(seen.values()) >= 4


@pytest.mark.parametrize(
    "smarts, at_least",
    [
        ("[NX4+;H0]", 10),
        ("[#6][N+](=O)[O-]", 10),
        ("C(=O)[O-]", 10),
        ("[n+,s+]", 4),
        ("[NX4+;!H0]", 4),
        ("[r{12-}]", 15),
    ],
    ids=["quaternary ammonium", "nitro", "carboxylate", "aromatic cation", "protonated amine", "macrocycle"],
)
def test_the_drugs_hold_what_is_hard_to_type_or_to_fold(molecules, smarts, at_least):
    assert count(molecules, matches(smarts)) >= at_least


def test_many_drugs_have_declared_stereo_and_charges(molecules):
    assert count(molecules, lambda mol: any(atom.GetChiralTag() for atom in mol.GetAtoms())) >= 200
    assert count(molecules, lambda mol: any(b.GetStereo() > Chem.BondStereo.STEREOANY for b in mol.GetBonds())) >= 35
    assert count(molecules, lambda mol: any(atom.GetFormalCharge() for atom in mol.GetAtoms())) >= 40
    charges = Counter(Chem.GetFormalCharge(mol) for mol in molecules.values())
    assert charges[1] >= 10 and charges[-1] >= 3


def test_mmff94_has_types_for_97_in_100_drugs(with_hydrogens):
    untyped = [name for name, mol in with_hydrogens.items() if not MMFFHasAllMoleculeParams(mol)]
    assert len(untyped) <= 0.03 * len(with_hydrogens), untyped
