// SPDX-License-Identifier: MIT
//
// Reads the tree `Delphes` as ExRootTreeReader does: TClonesArrays made by the class name that a branch gives, and
// references resolved within the event. Prints sums as JSON, for test_delphes_form.py.

#include <TBranchElement.h>
#include <TClass.h>
#include <TClonesArray.h>
#include <TFile.h>
#include <TRefArray.h>
#include <TTree.h>

#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>

#include "DelphesClasses.h"

namespace {

TClonesArray* use(TTree& tree, const char* name) {
  auto* branch = dynamic_cast<TBranchElement*>(tree.GetBranch(name));
  if (branch == nullptr) throw std::runtime_error(std::string("no branch ") + name);
  TClass* kind = TClass::GetClass(branch->GetClonesName());
  if (kind == nullptr) throw std::runtime_error(std::string("no class ") + branch->GetClonesName());
  auto* array = new TClonesArray(kind);
  branch->SetAddress(&array);
  static std::map<std::string, TClonesArray*> kept;
  kept[name] = array;
  branch->SetAddress(&kept[name]);
  return array;
}

}  // namespace

int main(int argc, char** argv) {
  TFile file(argc > 1 ? argv[1] : "");
  auto* tree = file.Get<TTree>("Delphes");
  if (tree == nullptr) return 1;
  TClonesArray* events = use(*tree, "Event");
  TClonesArray* weights = use(*tree, "Weight");
  TClonesArray* particles = use(*tree, "Particle");
  TClonesArray* tracks = use(*tree, "EFlowTrack");
  TClonesArray* photons = use(*tree, "EFlowPhoton");
  TClonesArray* hadrons = use(*tree, "EFlowNeutralHadron");
  TClonesArray* jets = use(*tree, "Jet");
  TClonesArray* genjets = use(*tree, "GenJet");
  TClonesArray* fatjets = use(*tree, "FatJet");
  TClonesArray* electrons = use(*tree, "Electron");
  TClonesArray* missing = use(*tree, "MissingET");
  std::map<std::string, double> sum;
  for (Long64_t entry = 0; entry < tree->GetEntries(); ++entry) {
    tree->GetEntry(entry);
    sum["number"] += static_cast<HepMCEvent*>(events->At(0))->Number;
    sum["cross_section"] += static_cast<HepMCEvent*>(events->At(0))->CrossSection;
    for (int i = 0; i < weights->GetEntriesFast(); ++i) sum["weight"] += static_cast<Weight*>(weights->At(i))->Weight;
    for (int i = 0; i < particles->GetEntriesFast(); ++i) {
      // the upper byte says in which process the identifiers were given
      sum["unordered"] += (static_cast<GenParticle*>(particles->At(i))->GetUniqueID() & 0xffffff) != UInt_t(i + 1);
    }
    for (int i = 0; i < tracks->GetEntriesFast(); ++i) {
      auto* track = static_cast<Track*>(tracks->At(i));
      auto* particle = static_cast<GenParticle*>(track->Particle.GetObject());
      sum["track_pt"] += track->PT;
      sum["track_particle_pt"] += particle->PT;
      sum["other_code"] += particle->PID != track->PID;
    }
    for (TClonesArray* towers : {photons, hadrons}) {
      for (int i = 0; i < towers->GetEntriesFast(); ++i) {
        auto* tower = static_cast<Tower*>(towers->At(i));
        sum["tower_et"] += tower->ET;
        sum["tower_particles"] += tower->Particles.GetEntriesFast();
      }
    }
    for (int i = 0; i < jets->GetEntriesFast(); ++i) {
      auto* jet = static_cast<Jet*>(jets->At(i));
      sum["jet_pt"] += jet->PT;
      sum["jet_area"] += jet->Area.E();
      for (int k = 0; k < jet->Constituents.GetEntriesFast(); ++k) {
        TObject* object = jet->Constituents.At(k);
        if (auto* track = dynamic_cast<Track*>(object)) sum["jet_track_pt"] += track->PT;
        if (auto* tower = dynamic_cast<Tower*>(object)) sum["jet_tower_et"] += tower->ET;
      }
      sum["jet_particles"] += jet->Particles.GetEntriesFast();
    }
    for (int i = 0; i < genjets->GetEntriesFast(); ++i) {
      auto* jet = static_cast<Jet*>(genjets->At(i));
      for (int k = 0; k < jet->Constituents.GetEntriesFast(); ++k) {
        sum["genjet_particle_pt"] += static_cast<GenParticle*>(jet->Constituents.At(k))->PT;
      }
    }
    for (int i = 0; i < fatjets->GetEntriesFast(); ++i) {
      auto* jet = static_cast<Jet*>(fatjets->At(i));
      sum["tau2"] += jet->Tau[1];
      sum["soft_drop_pt"] += jet->SoftDroppedP4[0].Pt();
      sum["soft_drop_same"] += jet->SoftDroppedJet == jet->SoftDroppedP4[0];
    }
    for (int i = 0; i < electrons->GetEntriesFast(); ++i) {
      auto* electron = static_cast<Electron*>(electrons->At(i));
      sum["electron_pt"] += electron->PT;
      sum["electron_particle_pt"] += static_cast<GenParticle*>(electron->Particle.GetObject())->PT;
    }
    sum["met"] += static_cast<MissingET*>(missing->At(0))->MET;
  }
  std::printf("{\"entries\": %lld", tree->GetEntries());
  for (const auto& [name, value] : sum) std::printf(", \"%s\": %.9g", name.c_str(), value);
  std::printf("}\n");
  return 0;
}
